import type { Verdict } from './report.js'

/**
 * What happens on the way; goes to stderr through the side door, never into the report. `target` is the name
 * of the database where several are at work.
 */
export type Event = OneEvent & { target?: string }

type OneEvent =
  /** The run has a number in the ledger; the sessions carry it in their name. */
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
      /** What is waited for; of a server that lacks something, what it says. */
      subject: string
      attempt: number
      nextMs: number
      blockers: Blocker[]
    }
  | { type: 'index'; name: string; phase: string; done: number; total: number; waitingFor: number | null }
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
      /** How many databases have ended, this one included, and how many there are. */
      index: number
      of: number
    }

/** Who holds up a lock; the statement has its literals removed, which may be people's data. */
export interface Blocker {
  pid: number
  application: string
  state: string
  /** Age of its transaction in seconds. */
  seconds: number
  query: string
}

/** The side door. */
export type Emit = (event: Event) => void
