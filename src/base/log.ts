// The vocabulary of log lines; run/logger.ts writes them.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
