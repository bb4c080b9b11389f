import type { Reason } from './fact_shapes.js'

/** Facts of the findings about usage, the demo, the embedded server and unexpected errors, by code. */
export interface FactsOfUsage {
  DEMO_NEXT: {
    /** Whether the rollback left the database as it was before. */
    identical: boolean
  }
  DEMO_KEPT: {
    url: string
    /** Where its data is. */
    folder: string
  }
  USAGE: {
    reason: string
    /** What would be right; empty where there is no list of it. */
    known: string[]
    /** What was probably meant, ready to type; else null. */
    meant: string | null
    /** The command that was typed; null where it is none, or a program asked. */
    command: string | null
  }
  NO_EMBEDDED: { platform: string }
  EMBEDDED_FAILED: Reason
  UNEXPECTED: {
    /** Whose refusal it is: the operating system's, the server's; else a fault of ours. */
    by: 'rethread' | 'system' | 'server'
    /** Code of the system, SQLSTATE of the server; null where there is none. */
    code: string | null
  } & Reason
}
