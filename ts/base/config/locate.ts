/** Where in a TOML text a key stands, and what a mistyped key was meant to be. For error messages only. */

/** The line (from 1) of each `table.key` and of each table itself. Dotted keys count too; the first place wins. */
export function lineIndex(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  const note = (path: string, line: number) => {
    if (!lines.has(path)) lines.set(path, line);
  };
  const unquote = (key: string) => key.trim().replace(/^(["'])(.*)\1$/, '$2');
  let table = '';
  let fence: string | null = null;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (fence !== null) {
      if (line.includes(fence)) fence = null;
      continue;
    }
    const header = /^\s*\[\[?([^\][]+)\]\]?\s*(?:#.*)?$/.exec(line);
    if (header !== null) {
      table = header[1]!.split('.').map(unquote).join('.');
      note(table, index + 1);
      continue;
    }
    const pair =
      /^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=(.*)$/.exec(line);
    if (pair === null) continue;
    const key = pair[1]!.split('.').map(unquote).join('.');
    note(table === '' ? key : `${table}.${key}`, index + 1);
    const open = /^\s*("""|''')/.exec(pair[2]!)?.[1];
    if (open !== undefined && !pair[2]!.slice(pair[2]!.indexOf(open) + 3).includes(open)) fence = open;
  }
  return lines;
}

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
export function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** The choice that is nearest to `word`, when it is near enough to be what was meant. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const choice of choices) {
    const edits = distance(word.toLowerCase(), choice);
    if (edits < least) [best, least] = [choice, edits];
  }
  return best;
}
