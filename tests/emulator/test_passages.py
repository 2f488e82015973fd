from __future__ import annotations

from aai_gateway.emulator.passages import central, passages, relevant, stem


def test_sentences_are_verbatim_and_keep_abbreviations_and_decimals_whole():
    said = 'Dr. Lee paid 3.50 dollars to J. Smith. Was it e.g. fair? "No." It was U.S. money.'
    assert ["Dr. Lee paid 3.50 dollars to J. Smith.", "Was it e.g. fair?", '"No."', "It was U.S. money."] == [
        passage.text for passage in passages(said)
    ]


def test_speaker_labels_are_not_part_of_what_was_said():
    found = passages("Speaker A: We won the case. It took years.\nB: Congratulations to you all.")
    assert [("A", "We won the case."), ("A", "It took years."), ("B", "Congratulations to you all.")] == [
        (passage.speaker, passage.text) for passage in found
    ]


def test_a_line_that_numbers_a_passage_was_not_said():
    found = passages("Passage 1\nSpeaker A: We won.\n\nPassage 2\nIt took years.\nPassage 3 was cut.")
    assert ["We won.", "It took years.", "Passage 3 was cut."] == [passage.text for passage in found]


def test_text_without_punctuation_is_cut_into_quotable_pieces():
    said = " ".join(f"word{n}" for n in range(103))
    pieces = [passage.text for passage in passages(said)]
    assert [20, 20, 20, 20, 23] == [len(piece.split()) for piece in pieces]
    assert said == " ".join(pieces)


def test_questions_and_neighbours_only_fill_up_the_central_passages():
    said = "The bridge is closed. Why is the old bridge closed again? The bridge over the river is closed."
    found = passages(said)
    assert [2, 0, 1] == [passage.index for passage in central(found, 3)]


def test_relevant_passages_share_words_with_the_question_whatever_their_endings():
    found = passages("The committee met. Engineers repaired two pumps. Nobody was hurt.")
    assert ["Engineers repaired two pumps."] == [p.text for p in relevant(found, "Who repairs the pump?", 1)]


def test_a_stem_forgets_the_commonest_endings():
    assert ["pump", "city", "repair", "class", "bus"] == [
        stem(word) for word in ("Pumps", "cities", "repairing", "class", "bus")
    ]
