import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import type { Target } from '../database/server.js'

/**
 * An invocation that writes: the writer's session with the lease, the monitor's session, and the fencing
 * token. All writes to the ledger name the token, so a run whose lease was taken over cannot write.
 */
export interface Run {
  readonly ctx: Context
  readonly id: number
  readonly target: Target
  readonly token: number
  readonly writer: Connection
  readonly monitor: Connection
  /**
   * Closes lost connections, connects again and takes the lease again. Throws FENCED if another run has it.
   */
  reconnect(): Promise<void>
  /** Releases the lease and closes the connections. The outcome is stored in the list of runs. */
  close(outcome: string): Promise<void>
}
