// How many tests passed and failed, read from what the runners print.

/** From the lines of `cargo test`: every `test result:` line, doc tests included. */
export function cargoCounts(lines) {
  const counts = { passed: 0, failed: 0 };
  for (const line of lines) {
    const found = /^test result: \S+\. (\d+) passed; (\d+) failed;/.exec(line);
    if (found === null) continue;
    counts.passed += Number(found[1]);
    counts.failed += Number(found[2]);
  }
  return counts;
}

/** From vitest's JSON report. A file that fails before its tests run counts as one failure. */
export function vitestCounts(text) {
  let report;
  try {
    report = JSON.parse(text);
  } catch {
    return { passed: 0, failed: 1 };
  }
  const broken = (report.testResults ?? []).filter((f) => f.status === 'failed' && f.assertionResults.length === 0);
  return { passed: report.numPassedTests ?? 0, failed: (report.numFailedTests ?? 0) + broken.length };
}
