"""The main job: two teams of one gateway transcribe, quote, tag, summarise, stay apart, and are billed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from aai_gateway.chat_client import ChatAnswer, ChatClient, connect_chat
from aai_gateway.cli.client_options import timestamp
from aai_gateway.core.budgets import MICROS_PER_DOLLAR, dollars
from aai_gateway.core.regions import Region
from aai_gateway.demo import books
from aai_gateway.demo.screen import Screen
from aai_gateway.emulator import sample_path
from aai_gateway.errors import GatewayError
from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.index_folder import namespace_of
from aai_gateway.quotes.windows import numbered

if TYPE_CHECKING:
    import assemblyai as aai

    from aai_gateway.quotes.embedder import Embedder
    from aai_gateway.quotes.passages import Quote
    from aai_gateway.speech import Stage

QUOTES = 3
QUESTIONS = ("no electricity at home", "how do I get clean air in the room where we sleep")


@dataclass(frozen=True, slots=True)
class Team:
    """A team, one virtual key of its, and the region that it mostly works in."""

    alias: str
    id: str
    key: str
    region: Region


@dataclass(frozen=True, slots=True)
class Recording:
    """A transcript and what was exported of it."""

    team: Team
    region: Region
    sample: str
    transcript: aai.Transcript
    sentences: list[aai.Sentence]

    @property
    def id(self) -> str:
        """The transcript's id."""
        return str(self.transcript.id)


@dataclass
class Job:
    """The job at one gateway. `store_url` is its store, `invoice_url` the emulator's invoice if there is one;
    `embedder` may still be loading; `polling_interval` is in seconds.
    """

    screen: Screen
    url: str
    master_key: str
    store_url: str
    index_folder: Path
    embedder: Future[Embedder]
    chat_model: str
    polling_interval: float
    invoice_url: str | None
    recordings: list[Recording] = field(default_factory=list)
    answers: list[ChatAnswer] = field(default_factory=list)

    def run(self) -> None:
        """All of it. Raises GatewayError for anything that is not as it should be."""
        self.screen.heading("1. Two teams, a virtual key each")
        research = self.team("research", Region.US, ["us", "eu"])
        newsroom = self.team("newsroom", Region.EU, ["eu"])
        self.screen.heading("2. Transcribe local files with the official assemblyai SDK")
        interview = self.transcribe(research, Region.US, "interview", speaker_labels=True)
        call = self.transcribe(research, Region.EU, "stereo", multichannel=True)
        briefing = self.transcribe(newsroom, Region.EU, "briefing")
        self.screen.heading("3. Sentence windows, embedded and stored in Chroma: quotes and search")
        self.find_quotes(research, interview, call)
        self.screen.heading("4. Topic and summary from /v1/chat/completions, by transcript_id")
        self.understand(interview)
        self.understand(briefing)
        self.screen.heading("5. What newsroom may not do")
        self.read_a_strangers(newsroom, call)
        self.leave_the_region(newsroom)
        self.screen.heading("6. What each team spent")
        self.settle_up(research, newsroom)

    def team(self, alias: str, region: Region, regions: list[str]) -> Team:
        """A new team with a key, through LiteLLM's management endpoints and with the master key."""
        with self.screen.step(f"Making the team {alias}") as step:
            team = self._administer("/team/new", {"team_alias": alias, "regions": regions})
            key = self._administer("/key/generate", {"team_id": team["team_id"], "key_alias": alias})["key"]
            names = " and ".join(region.upper() for region in regions)
            step.done = f"{alias:8}  {names}, key {key[:5]}…{key[-4:]}"
        return Team(alias, team["team_id"], key, region)

    def transcribe(self, team: Team, region: Region, sample: str, **options: Any) -> Recording:
        """Upload a recording as bytes, wait for its transcript, export it."""
        import assemblyai as aai

        from aai_gateway import speech

        path = sample_path(sample)
        route = f"/{region.speech_prefix}"
        client = speech.connect(self.url, team.key, region, polling_interval=self.polling_interval)
        with self.screen.step(f"{team.alias:8}  {path.name} to {route}") as step:

            def report(stage: Stage, transcript_id: str | None) -> None:
                step.now(f"{team.alias:8}  {path.name} to {route}: {stage}")

            config = aai.TranscriptionConfig(**options)
            transcript = speech.transcribe(client, path, config, on_progress=report)
            with speech.gateway_errors(client):
                sentences, paragraphs = transcript.get_sentences(), transcript.get_paragraphs()
                srt, vtt = transcript.export_subtitles_srt(), transcript.export_subtitles_vtt()
            step.done = f"{team.alias:8}  {path.name} ({path.stat().st_size // 1000} kB) to {route}"
        self.screen.text(
            f"{transcript.audio_duration} s of audio: {len(sentences)} sentences, "
            f"{len(paragraphs)} paragraphs, {srt.count(' --> ')} SRT and {vtt.count(' --> ')} VTT captions"
        )
        self.screen.text("SRT  " + "  ".join(srt.strip().splitlines()[:3]), style="dim")
        recording = Recording(team, region, sample, transcript, sentences)
        self.recordings.append(recording)
        return recording

    def find_quotes(self, team: Team, first: Recording, *others: Recording) -> None:
        """Index a team's transcripts, print the best quotes of the first, and search all of them."""
        from aai_gateway.quotes.finder import best_quotes

        with self.screen.step("Loading the embedding model") as step:
            embedder = self.embedder.result()
            step.done = f"Embedding model {embedder.name}"
        with QuoteIndex(self.index_folder, embedder, namespace=namespace_of(team.key)) as index:
            with self.screen.step("Embedding and storing the windows") as step:
                for recording in (first, *others):
                    index.add(recording.id, numbered(recording.sentences), region=recording.region.value)
                step.done = f"{index.count()} windows of {1 + len(others)} transcripts stored"
            with self.screen.step(f"Asking {self.chat_model} for quotes") as step, self._chat(first) as chat:
                best = best_quotes(
                    first.id,
                    numbered(first.sentences),
                    chat=chat,
                    index=index,
                    n=QUOTES,
                    region=first.region.value,
                )
                self.answers += best.answers
                if not best.quotes:
                    raise GatewayError(f"{chat.model} proposed no quote that was said.")
                step.done = f"The {len(best.quotes)} best quotes of the interview, chosen by {chat.model}"
            self._show(best.quotes)
            for question in QUESTIONS:
                with self.screen.step(f"Searching for “{question}”") as step:
                    found = index.search(question, 1)
                    if not found:
                        raise GatewayError("The search found nothing.")
                    step.done = f"Search of all stored transcripts for “{question}”"
                self._show(found)

    def understand(self, recording: Recording) -> None:
        """A topic from a list, and a summary; AssemblyAI puts the transcript's text into the prompts."""
        from aai_gateway.tasks.ask import ask, preset
        from aai_gateway.tasks.topics import load_topics, tag_topics

        alias = recording.team.alias
        with self._chat(recording) as chat:
            topics = load_topics("news")
            with self.screen.step(f"{alias:8}  topic, of {len(topics)}") as step:
                tags = tag_topics(recording.id, topics, chat=chat)
                self.answers.extend(tags.answers)
                step.done = f"{alias:8}  topic, of {len(topics)}: {tags.topics[0]}   ({chat.model})"
            with self.screen.step(f"{alias:8}  summary") as step:
                summary = ask(preset("summary"), recording.id, chat=chat)
                self.answers.append(summary)
                step.done = f"{alias:8}  summary   ({chat.model})"
            self.screen.text(summary.text.strip())

    def read_a_strangers(self, team: Team, recording: Recording) -> None:
        """Another team's transcript looks exactly like one that AssemblyAI does not have."""
        path = f"/{recording.region.speech_prefix}/v2/transcript/"
        with self.screen.step(f"{team.alias} reads a transcript of {recording.team.alias}") as step:
            theirs = self._get(team.key, f"{path}{recording.id}")
            nobodys = self._get(team.key, f"{path}{uuid.uuid4()}")
            # The master key sees everything, so this answer is AssemblyAI's own.
            upstreams = self._get(self.master_key, f"{path}{uuid.uuid4()}")
            answers = [(answer.status_code, answer.json()) for answer in (theirs, nobodys, upstreams)]
            if theirs.is_success or theirs.content != nobodys.content or answers.count(answers[0]) != 3:
                raise GatewayError(f"A stranger's transcript can be told from an unknown one: {answers}")
            step.done = f"GET {path}{recording.id} of {recording.team.alias}'s: {_answer(theirs)}"
        self.screen.text("The same, word for word, as AssemblyAI's own answer for an id that does not exist.")

    def leave_the_region(self, team: Team) -> None:
        """A team that is bound to the EU cannot reach the US."""
        path = f"/{Region.US.speech_prefix}/v2/transcript"
        with self.screen.step(f"{team.alias} uses {path}") as step:
            answer = self._get(team.key, path)
            if answer.status_code != httpx.codes.FORBIDDEN:
                raise GatewayError(f"{team.alias} is bound to the EU and got {_answer(answer)} from {path}")
            step.done = f"GET {path}: {_answer(answer)}"

    def settle_up(self, *teams: Team) -> None:
        """The ledger by team and service, beside the emulator's own invoice. Raises when they differ."""
        with self.screen.step("Waiting for the last rows of the ledger") as step:
            rows = books.booked(self.store_url, len(self.recordings) + len(self.answers))
            step.done = f"{len(self.recordings)} transcripts and {len(self.answers)} completions booked"
        ledger = books.by_service(rows)
        columns = [books.by_service(rows, team.id) for team in teams] + [ledger]
        headers = ["Service", *(team.alias for team in teams), "Ledger"]
        if self.invoice_url is not None:
            invoice = books.invoiced(httpx.get(self.invoice_url, trust_env=False).raise_for_status().json())
            columns.append(invoice)
            headers.append("Emulator's invoice")
        lines = [
            [name, *(_money(column[service]) for column in columns)]
            for service, name in books.SERVICES.items()
        ]
        self.screen.table(headers, lines, ["Total", *(dollars(sum(column.values())) for column in columns)])
        spent = [
            f"{team.alias} ${_cents(sum(column.values()))}"
            for team, column in zip(teams, columns, strict=False)
        ]
        if self.invoice_url is None:
            self.screen.text(f"{', '.join(spent)}. AssemblyAI's own figures are in its dashboard.")
            return
        with self.screen.step("Comparing") as step:
            books.require_equal(ledger, invoice)
            step.done = f"{', '.join(spent)}. The invoice is equal, to the micro-dollar, for each service."

    def delete_transcripts(self) -> None:
        """Leave nothing of the demo in the account."""
        for recording in self.recordings:
            headers = {"Authorization": recording.team.key}
            path = f"{self.url}/{recording.region.speech_prefix}/v2/transcript/{recording.id}"
            httpx.delete(path, headers=headers, timeout=60, trust_env=False).raise_for_status()

    def _show(self, quotes: Sequence[Quote]) -> None:
        samples = {recording.id: recording.sample for recording in self.recordings}
        for quote in quotes:
            where = f"{samples[quote.transcript_id]}, {timestamp(quote.start)} to {timestamp(quote.end)}"
            plural = "s" if len(quote.speakers) > 1 else ""
            who = f", speaker{plural} {' and '.join(quote.speakers)}" if quote.speakers else ""
            self.screen.text(f"{where}{who}, confidence {quote.confidence:.2f}", style="cyan")
            self.screen.text(f"“{quote.text}”")

    def _chat(self, recording: Recording) -> ChatClient:
        return connect_chat(self.url, recording.team.key, region=recording.region, model=self.chat_model)

    def _administer(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = httpx.post(
            f"{self.url}{path}", json=body, headers=_bearer(self.master_key), timeout=60, trust_env=False
        )
        if not answer.is_success:
            raise GatewayError(f"{path} answered {_answer(answer)}")
        return answer.json()

    def _get(self, key: str, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=_bearer(key), timeout=60, trust_env=False)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _answer(response: httpx.Response) -> str:
    return f"{response.status_code} {response.text[:300]}"


def _money(micros: int) -> str:
    return dollars(micros) if micros else "-"


def _cents(micros: int) -> str:
    return f"{Decimal(micros) / MICROS_PER_DOLLAR:.2f}"
