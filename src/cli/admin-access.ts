// What an admin command knows from its command line.

export interface AdminAccess {
  /** Base URL, e.g. http://127.0.0.1:9090 */
  readonly admin: string;
  /** Empty: none is sent. Never part of any output. */
  readonly token: string;
}

/** Options of every admin command. */
export interface AdminCommandOptions extends AdminAccess {
  readonly json?: boolean;
}

export interface ServerPath {
  /** '': the only one there is; see AdminClient.whole. */
  readonly pool: string;
  readonly server: string;
}
