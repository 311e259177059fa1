// driver-log.ts — where a driver writes what happens to it. The daemon gives it one.

/** What the driver logs to; pino's shape. */
export interface DriverLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}
