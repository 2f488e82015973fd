"""What people ask of transcripts: a topic tag, an answer, a summary."""
