// Why a balancer cannot start: an address, a file or a predecessor that it needs is not to be had.

/** The message is for the user. */
export class StartError extends Error {}
