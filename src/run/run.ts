import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import type { Target } from '../database/server.js'

/**
 * One invocation that writes: the writer's session with the lease, a monitor beside it, the fencing token.
 * Every ledger write names the token, so that a run that was taken over can do no harm.
 */
export interface Run {
  readonly ctx: Context
  readonly id: number
  readonly target: Target
  readonly token: number
  readonly writer: Connection
  readonly monitor: Connection
  /** Closes what is broken, connects again and takes the lease again; FENCED when another run has it. */
  reconnect(): Promise<void>
  /** Gives the lease back and closes the connections; the outcome goes to the list of runs. */
  close(outcome: string): Promise<void>
}
