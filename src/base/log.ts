// What of a logger is used; pino's fits.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type Log = Readonly<Record<LogLevel, (fields: object, message: string) => void>>;
