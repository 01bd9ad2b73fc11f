"""Lines that real changes added, each with what tree-sitter takes it for.

changed_lines.py OUTPUT COMMITS REPOSITORY...: of each repository's newest COMMITS commits that are no merges, every file in one of LANGUAGES as the
newest of them left it, with the lines that any of them added as far as they are still there. Files that tree-sitter can't read whole are left out.
OUTPUT/lines.tsv gets a line a file: language, name below OUTPUT, and a letter for each line of it: `c` code, `-` comment, ` ` blank, `.` not added.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import tree_sitter_language_pack as languages

LANGUAGES = {
    ".rs": "rust", ".py": "python", ".js": "javascript", ".ts": "typescript", ".tsx": "tsx", ".go": "go", ".java": "java", ".c": "c", ".h": "c",
    ".cc": "cpp", ".cpp": "cpp", ".cs": "csharp", ".rb": "ruby", ".php": "php", ".sh": "bash", ".bash": "bash", ".sql": "sql", ".css": "css",
    ".html": "html", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml", ".hs": "haskell", ".lua": "lua", ".kt": "kotlin", ".swift": "swift",
    ".scala": "scala", ".sc": "scala", ".ex": "elixir", ".exs": "elixir",
}
COMMENT = re.compile(r"comment|hash_bang|shebang|^haddock$")
LONGEST = 400_000


def git(repository, *arguments):
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True).stdout


def added(repository, commits):
    """Paths with the numbers of lines, from 1, that the newest commits added and that are still there."""
    head = git(repository, "rev-parse", "HEAD").decode().strip()
    newest = git(repository, "rev-list", "--no-merges", f"--max-count={commits}", head).decode().split()
    if not newest:
        return {}
    # Against the parent of the oldest: what came and went in between is in no file any more.
    oldest = git(repository, "rev-list", "--parents", "--max-count=1", newest[-1]).decode().split()
    base = oldest[1] if len(oldest) > 1 else git(repository, "hash-object", "-t", "tree", "/dev/null").decode().strip()
    found, path = {}, None
    for line in git(repository, "diff", "--no-color", "--no-ext-diff", "--unified=0", base, head).decode(errors="replace").splitlines():
        if line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else None
        elif path and (hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(path, set()).update(range(start, start + count))
    return {path: lines for path, lines in found.items() if lines}


def is_docstring(node):
    """A string that is the first statement of a Python module, class or function: what the project takes for a comment, as most counters do."""
    if node.type != "string" or node.parent.type != "expression_statement" or node.parent.named_child_count != 1:
        return False
    statement, block = node.parent, node.parent.parent
    if block.type not in ("module", "block") or (block.type == "block" and block.parent.type not in ("class_definition", "function_definition")):
        return False
    first = next((child for child in block.named_children if child.type != "comment"), None)
    return first is not None and first.id == statement.id


def comments(language, source):
    """For each byte whether it belongs to a comment; nothing where the text can't be read whole."""
    tree = languages.get_parser(language).parse(source)
    if tree.root_node.has_error:
        return None
    inside, open_nodes = bytearray(len(source)), [tree.root_node]
    while open_nodes:
        node = open_nodes.pop()
        if COMMENT.search(node.type) or (language == "python" and is_docstring(node)):
            inside[node.start_byte:node.end_byte] = b"\1" * (node.end_byte - node.start_byte)
        else:
            open_nodes.extend(node.children)
    return inside


def kinds(source, inside, lines):
    text, at = [], 0
    for number, line in enumerate(source.split(b"\n")[: source.count(b"\n") + (not source.endswith(b"\n"))], 1):
        ink = [at + offset for offset, byte in enumerate(line) if not chr(byte).isspace()]
        kind = " " if not ink else "-" if all(inside[place] for place in ink) else "c"
        text.append(kind if number in lines else ".")
        at += len(line) + 1
    return "".join(text)


def main(output, commits, *repositories):
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    unread, files = Counter(), Counter()
    with open(output / "lines.tsv", "w") as table:
        for number, repository in enumerate(repositories):
            for path, lines in sorted(added(repository, int(commits)).items()):
                language = LANGUAGES.get(Path(path).suffix)
                if language is None:
                    continue
                try:
                    source = git(repository, "show", f"HEAD:{path}")
                    source.decode()
                except (subprocess.CalledProcessError, UnicodeDecodeError):
                    continue
                if len(source) > LONGEST:
                    continue
                inside = comments(language, source)
                if inside is None:
                    unread[language] += 1
                    continue
                files[language] += 1
                name = f"{number}/{path}"
                (output / name).parent.mkdir(parents=True, exist_ok=True)
                (output / name).write_bytes(source)
                table.write(f"{language}\t{name}\t{kinds(source, inside, lines)}\n")
    print("files", dict(files), "not read whole", dict(unread), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
