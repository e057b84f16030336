/** Logs as JSON lines on standard error, by pino; only fields that `allowedFields` lets through. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { allowedFields } from '../base/log.js';
import type { Log, LogFields } from '../base/ports.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

function wrap(logger: Logger): Log {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: LogFields) =>
    logger[level](allowedFields(fields), message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger.child(allowedFields(fields))),
  };
}

export function createLog(level: LogLevel, to: DestinationStream = destination({ fd: 2, sync: true })): Log {
  return wrap(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      to,
    ),
  );
}
