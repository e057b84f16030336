/** The commands and their flags. */
import { Command, CommanderError } from 'commander';
import { asWayfareError } from '../base/errors.js';
import { ask } from './commands/ask.js';
import { bench } from './commands/bench.js';
import { config } from './commands/config.js';
import { creditsCommand } from './commands/credits.js';
import { keygen } from './commands/keygen.js';
import { sim } from './commands/sim.js';
import { start } from './commands/start.js';
import { up } from './commands/up.js';
import { EXIT, fail, type Io, printJson } from './io.js';
import { packageVersion } from './version.js';

function build(io: Io, setCode: (code: number) => void): Command {
  const program = new Command('wayfare')
    .description('An onion-routed network over QUIC.')
    .version(packageVersion(), '--version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'wayfare: ')),
    })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n`wayfare COMMAND --help` has examples.',
    );
  start(program, io, setCode);
  up(program, io);
  keygen(program, io);
  ask(program, io);
  creditsCommand(program, io);
  bench(program, io);
  sim(program, io, setCode);
  config(program, io);
  // Settings are inherited only by commands made after they were set; ours are made by functions, so hand them down.
  const inherit = (command: Command) => {
    for (const child of command.commands) {
      child.copyInheritedSettings(command);
      inherit(child);
    }
  };
  inherit(program);
  return program;
}

/** Runs one command line (without node and script); resolves with the exit code. */
export async function runProgram(argv: string[], io: Io): Promise<number> {
  let code: number = EXIT.ok;
  const program = build(io, (value) => {
    code = value;
  });
  const json = argv.includes('--json');
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (caught) {
    if (caught instanceof CommanderError) {
      if (caught.exitCode === 0) return EXIT.ok;
      // Commander has said it to people already.
      const message = caught.message.replace(/^error: /, '').split('\n')[0]!;
      if (json) printJson(io, { schema: 'wayfare.error', version: 1, code: 'argument_invalid', message });
      return EXIT.usage;
    }
    return fail(io, asWayfareError(caught), json);
  }
}
