// Shows on standard error what the set-up is at: a spinner on a terminal, plain lines elsewhere.
// Invariant: nothing here writes to standard output, which belongs to the program that is set up.

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** Where no spinner turns, a step that lasts says so at this interval. */
const REMINDER_MS = 20_000;

/** A refusal that people can act on: one sentence, no stack. */
export class SetupError extends Error {
  constructor(sentence, output = '') {
    super(sentence);
    this.output = output;
  }
}

const seconds = (since_ms) => `${((Date.now() - since_ms) / 1000).toFixed(1)} s`;

/**
 * Runs `work(note)` as one step; `note(text)` replaces the detail behind the label.
 * Steps that end within `quiet_ms` leave no line, so that a warm start is silent.
 */
export async function step(label, work, { quiet_ms = 0, stream = process.stderr } = {}) {
  const started_ms = Date.now();
  const live = stream.isTTY === true;
  let detail = '';
  let frame = 0;
  let announced = false;
  const line = (mark) => `${mark} ${label}${detail ? ` · ${detail}` : ''} · ${seconds(started_ms)}`;
  const draw = () => {
    if (Date.now() - started_ms < quiet_ms) return;
    if (live) {
      stream.write(`\r\x1b[2K${line(SPINNER[frame++ % SPINNER.length]).slice(0, (stream.columns ?? 80) - 1)}`);
    } else {
      stream.write(announced ? `${line('…')}\n` : `… ${label}\n`);
      announced = true;
    }
  };
  if (!live && quiet_ms === 0) draw();
  const first = !live && quiet_ms > 0 ? setTimeout(draw, quiet_ms) : undefined;
  const timer = setInterval(draw, live ? 100 : REMINDER_MS);
  const end = (mark) => {
    clearInterval(timer);
    clearTimeout(first);
    if (live) stream.write('\r\x1b[2K');
    if (mark === '✗' || Date.now() - started_ms >= quiet_ms) stream.write(`${line(mark)}\n`);
  };
  try {
    const result = await work((text) => {
      detail = text;
    });
    end('✓');
    return result;
  } catch (error) {
    end('✗');
    throw error;
  }
}

/** Runs a script's `main`; a `SetupError` ends it with its sentence and code 1. */
export async function runScript(main) {
  try {
    process.exitCode = (await main()) ?? process.exitCode ?? 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    if (error.output) process.stderr.write(`${error.output.trimEnd()}\n`);
    process.stderr.write(`wayfare: ${error.message}\n`);
    process.exitCode = 1;
  }
}
