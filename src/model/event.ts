import type { Verdict } from './report.js'

/**
 * Progress of a command. It is shown on stderr and is not part of the report. `target` is the name of the
 * database if a command works on several.
 */
export type Event = OneEvent & { target?: string }

type OneEvent =
  /** The run got a number in the ledger. Its sessions have the number in their application_name. */
  | { type: 'run'; run: number }
  | {
      type: 'step-start'
      migration: string
      title: string
      phase: string
      direction: 'up' | 'down'
      index: number
      of: number
    }
  | { type: 'step-done'; migration: string; durationMs: number; rows: number | null; skipped: number }
  | { type: 'rollback-cost'; command: string; atRisk: number | null }
  | { type: 'statement'; migration: string; index: number; of: number; text: string; skipped: string | null }
  | {
      type: 'wait'
      on: 'lock' | 'lease' | 'server'
      /** What the run waits for; if the server lacks a resource, its message. */
      subject: string
      attempt: number
      nextMs: number
      blockers: Blocker[]
    }
  | {
      type: 'index'
      name: string
      phase: string
      done: number
      total: number
      /** The backend that it waits for, or the identifier of the prepared transaction. */
      waitingFor: number | null
      prepared: string | null
    }
  | {
      type: 'batch'
      migration: string
      rows: number
      fraction: number
      rowsPerSecond: number
      etaSeconds: number | null
      batchMs: number
      pace: string
    }
  | { type: 'check'; check: string; index: number; of: number }
  | { type: 'notice'; text: string }
  | { type: 'reconnect'; attempt: number; reason: string }
  | { type: 'narrate'; text: string }
  | { type: 'target-start'; target: string }
  | {
      type: 'target-done'
      target: string
      verdict: Verdict
      seconds: number
      /** How many databases are finished, this one included, and how many there are. */
      index: number
      of: number
    }

/**
 * A transaction that holds a lock which is needed. Literals are removed from its statement, because they may
 * be personal data.
 */
export interface Blocker {
  /** The process id of its backend; 0 for a prepared transaction, which has none. */
  pid: number
  /** The identifier of a prepared transaction; null for any other. */
  prepared: string | null
  application: string
  state: string
  /** Age of its transaction in seconds. */
  seconds: number
  query: string
}

/** Receives the events of a command. */
export type Emit = (event: Event) => void
