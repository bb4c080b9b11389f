import type { Reason } from './fact_shapes.js'

/** Facts of the findings about usage, the demo, the embedded server and unexpected errors, by code. */
export interface FactsOfUsage {
  DEMO_NEXT: {
    /** Whether the rollback restored the database exactly. */
    identical: boolean
  }
  DEMO_KEPT: {
    url: string
    /** The folder of its data. */
    folder: string
  }
  USAGE: {
    reason: string
    /** Valid names or values; empty if there is no list of them. */
    known: string[]
    /** The likely intention, ready to type; else null. */
    meant: string | null
    /** The command that was typed. Null if it was none, or if a program made the request. */
    command: string | null
  }
  NO_EMBEDDED: { platform: string }
  EMBEDDED_FAILED: Reason
  UNEXPECTED: {
    /** Where the error comes from. `rethread` means a bug of this tool. */
    by: 'rethread' | 'system' | 'server'
    /** Error code of the system or SQLSTATE of the server; null if there is none. */
    code: string | null
  } & Reason
}
