"""documents.py - the project's documents taken apart, and a reader who types their commands

A document is Markdown. What matters here:

- A fenced block with a language: `console` (commands behind `$ `, further lines of one behind `> ` or a backslash, and what they print), `sh`
  (commands, one a line), `json`, `python`, others. A second word names a file: the reader writes it.
- An HTML comment right in front of a block: `<!-- not run: REASON -->` leaves it out, `<!-- before: COMMANDS -->` and `<!-- after: COMMANDS -->` are
  run around it and not seen by readers.
- What a command prints is compared where the document shows it: see same().
"""
import os
import re
import shlex
import signal
import subprocess

from lib import stack

COMMANDS = ("console", "sh")
COMMAND_S = 20          # for one block

FENCE = re.compile(r"^( *)(`{3,})(\S*) *(.*)$")
COMMENT = re.compile(r"^<!-- *(not run|before|after): *(.*?) *-->$", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\][]|\[[^\]]*\])*\]\(([^()\s]+)\)")


class Block:
    """A fenced block: the line it starts in, its language, the file that it is, its text, and what comments in front of it say."""

    def __init__(self, document, line, language, file, text, comments):
        self.document, self.line, self.language, self.file, self.text = document, line, language, file, text
        self.not_run = comments.get("not run")
        self.before, self.after = comments.get("before", ""), comments.get("after", "")

    def __str__(self):
        return f"{self.document}:{self.line}"

    def commands(self):
        """Pairs of a command and the lines that it is shown to print, or None where none are shown."""
        if self.language == "sh":
            return [(command, None) for command in self.text.replace("\\\n", " ").splitlines() if command.strip() and not command.startswith("#")]
        found, output, going_on = [], [], False
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], output := []))
            elif found and not output and (going_on or line.startswith("> ")):
                found[-1] = (found[-1][0] + "\n" + line.removeprefix("> "), output)
            else:
                output.append(line)
            going_on = bool(found) and not output and (line.endswith("\\") or is_open(found[-1][0]))
        return [(command, "\n".join(output) if output else None) for command, output in found]


def is_open(command):
    """Whether a quotation in a command goes on in the next line."""
    try:
        shlex.split(command)
        return False
    except ValueError:
        return True


class Document:
    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(stack.ROOT))
        self.blocks, self.prose = [], []        # prose: pairs of line number and text, without blocks and comments
        self.take_apart(path.read_text())

    def __str__(self):
        return self.name

    def take_apart(self, text):
        lines, comments, i = text.splitlines(), {}, 0
        while i < len(lines):
            fence = FENCE.match(lines[i])
            if fence:
                i = self.take_block(lines, i, fence, comments)
                comments = {}
            elif lines[i].lstrip().startswith("<!--"):
                end = next(k for k in range(i, len(lines)) if lines[k].endswith("-->"))
                said = COMMENT.match("\n".join(lines[i:end + 1]).strip())
                if said:
                    comments[said[1]] = said[2]
                i = end
            elif lines[i].strip():
                assert not comments, f"{self.name}:{i + 1}: a comment for a block, but no block behind it"
                self.prose.append((i + 1, lines[i]))
            i += 1

    def take_block(self, lines, start, fence, comments):
        end = next((k for k in range(start + 1, len(lines)) if lines[k].strip() == fence[2]), None)
        assert end is not None, f"{self.name}:{start + 1}: this block has no end"
        text = "\n".join(line.removeprefix(fence[1]) for line in lines[start + 1:end])
        self.blocks.append(Block(self.name, start + 1, fence[3], fence[4].strip(), text, comments))
        return end

    def anchors(self):
        """What GitHub makes of the headings."""
        found = []
        for _, line in self.prose:
            if heading := re.match(r"#+ +(.*)", line):
                words = re.sub(r"[^\w\- ]", "", heading[1].replace("`", "").strip().lower())
                anchor = words.replace(" ", "-")
                found.append(anchor if anchor not in found else f"{anchor}-{found.count(anchor)}")
        return found

    def links(self):
        return [(line, target) for line, text in self.prose for target in LINK.findall(text)]

    def code(self):
        """Every piece of inline code, with its line."""
        return [(line, piece) for line, text in self.prose for piece in re.findall(r"`([^`]+)`", text)]


def all_documents():
    names = ["README.md", "README.fr.md", *sorted(str(path.relative_to(stack.ROOT)) for path in (stack.ROOT / "docs").glob("*.md")), "SECURITY.md", "CONTRIBUTING.md"]
    return [Document(stack.ROOT / name) for name in names]


# The reader

SERVER = """
start_server() {
    : >build-2.log
    make run "$@" BUILD=build-2 BIND=127.0.0.1 HTTP_PORT=5002 HTTPS_PORT=8444 >build-2.log 2>&1 &
    server=$!
    trap 'kill $server && wait $server' EXIT
    until grep -q Ctrl-C build-2.log; do kill -0 $server || { cat build-2.log; return 1; }; sleep 0.05; done
}
"""


class Reader:
    """Types commands in a folder. `names` replaces texts in what is typed and in what is expected: ports and folders of an installed system. A `make run` that is
    not shown to fail starts a server on the second pair of ports, for the rest of its block, where it is found on the first pair."""

    def __init__(self, folder, names, environment):
        self.folder, self.names = folder, names
        self.environment = {name: value for name, value in os.environ.items() if not re.search("proxy|^MAKE|^MFLAGS|^BUILD$|^CDPATH$", name, re.IGNORECASE)}
        self.environment.update(environment)

    def here(self, text):
        """A text of a document with this place's ports and folders."""
        for pattern, name in self.names:
            text = re.sub(pattern, name, text)
        return text

    def write(self, block):
        path = self.folder / self.here(block.file)
        assert path.resolve().is_relative_to(self.folder), f"{block}: {block.file} is none of this place's folders"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(block.text) + "\n")

    def steps(self, block):
        """What is typed for a block, and what that is to print: pairs of texts of this place."""
        found, moved = [], False
        for command, expected in [(block.before, None)] * bool(block.before) + block.commands() + [(block.after, None)] * bool(block.after):
            if starts := expected is None and re.match(r"make run\b", command):
                command, moved = command.replace("make run", "start_server", 1), True
            if moved and not starts:
                command, expected = (text and re.sub(r"\b8443\b", "8444", re.sub(r"\b5001\b", "5002", text)) for text in (command, expected))
            found.append((self.here(command), expected and self.here(expected)))
        return found

    def type(self, block):
        """Runs a block in one shell, and gives back what is wrong with it: sentences."""
        steps = self.steps(block)
        for command, _ in steps:    # as root, too, nothing of this machine is touched
            outside = [path for path in re.findall(r"(?<![\w./:\\])/[\w.-][\w./-]*(?![\w./=-])", command) if not path.startswith((str(self.folder), "/dev/"))]
            assert not outside, f"{block}: {outside} is outside of this place, so mark it as not run"
        # A moment between two commands, as a hand needs it, and lines as they come, as on a terminal.
        script = self.here(SERVER) + "".join(f"sleep 0.03; eval {shlex.quote(command)}\nprintf '\\036%d\\036' $?\n" for command, _ in steps)
        shell = subprocess.Popen(["stdbuf", "-oL", "bash", "-c", script], cwd=self.folder, env=self.environment, start_new_session=True, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        try:
            output, _ = shell.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            return [f"{block}: took more than {COMMAND_S} s: {shell.communicate()[0]}"]
        printed = re.split("\036([0-9]+)\036", output)
        return [complaint for i, step in enumerate(steps) if (complaint := judge(block, *step, *(printed[2 * i:2 * i + 2] if 2 * i + 1 < len(printed) else (output, "no"))))]


def judge(block, command, expected, text, status):
    """What is wrong with what a command printed, or None."""
    if expected is None:        # a failure must be shown
        return None if status == "0" else f"{block}: $ {command}\n{text}[exit status {status}]"
    return None if same(expected, text) else f"{block}: $ {command}\n--- shown:\n{expected}\n--- printed:\n{text}[exit status {status}]"


# What differs from run to run and from machine to machine: a pattern, and what stands for it in the printed text. `…` is for all else.
LOOSE = [
    (r"…", r"[\s\S]*?"),
    (r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d{4}))?", r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d{4}))?"),
    (r"\b\d\d:\d\d(?::\d\d)?\b", r"\d\d:\d\d(?::\d\d)?"),
    (r"(?<![\w.])\d[\d,.]*(?=\s?(?:s|ms|us|µs|%|MB|MiB|KiB|GiB|rows/s|days)(?![\w]))", r"\d[\d,.]*"),
    (r"\b\d[\d.]*[KMG]\b", r"\d[\d.]*[KMG]"),
    (r'(?<="duration_us":)\d+', r"\d+"),
    (r"(?<=\bkey )[0-9a-f]{8}\b", r"[0-9a-f]{8}"),
    (r"(?<=process )\d+", r"\d+"),
    (r"(?<=pid=)\d+", r"\d+"),
    (r"\b[0-9a-f]{16}\b", r"[0-9a-f]{16}"),
    (r"\s+", r"\s+"),
]


def same(expected, printed):
    """Whether the text that a document shows is what was printed. Blanks and line ends count only as such; in JSON not at all."""
    expected, printed = expected.strip(), printed.strip()
    if expected.startswith(("{", "[")):
        expected, printed = (re.sub(r"\s+", "", text) for text in (expected, printed))
    pattern, at = "", 0
    for found in re.finditer("|".join(f"({loose})" for loose, _ in LOOSE), expected):
        pattern += re.escape(expected[at:found.start()]) + LOOSE[found.lastindex - 1][1]
        at = found.end()
    return re.fullmatch(pattern + re.escape(expected[at:]), printed) is not None
