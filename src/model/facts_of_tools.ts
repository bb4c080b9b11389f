import type { NoFacts, Reason } from './fact_shapes.js'

/** Facts of the findings about other migration tools, and about repairs of the ledger, by code. */
export interface FactsOfTools {
  EXPORTED: {
    /** Folder of the files. */
    to: string
    /** How many files were written, and how many existed already. */
    written: number
    kept: number
  }
  EXPORT_HELD: {
    /** How many migrations were not exported, this one included. */
    left: number
    /** Why the old application does not survive it; null if a phase was requested. */
    because: string | null
    track: string
  }
  EXPORT_CONFLICT: Reason
  APPLIED_ELSEWHERE: {
    /** The tool with that history. */
    tool: string
    /** Migrations that the ledger does not contain. */
    migrations: string[]
  }
  HISTORY_BEHIND: {
    tool: string
    /** Migrations that are applied here and missing in the tool's history. */
    applied: string[]
    /** How many migrations of this run will be missing there too. */
    next: number
    /** Whether rethread can write the history of this tool. */
    keeps: boolean
  }
  FOLDER_NOT_READ: NoFacts
  ELSEWHERE_FAILED: {
    tool: string
    /** The row as the tool names it, and when it was written. */
    row: string
    at: string | null
    /** The tool's command that settles it. */
    settle: string
    track: string
  }
  ELSEWHERE_CHANGED: { tool: string; file: string; track: string }
  HISTORY_NOT_KEPT: Reason
  REPAIRED: {
    /** The new state in the ledger. */
    as: 'applied' | 'not applied'
    /** How many objects and rows the catalog proves. */
    shown: number
    /** What the catalog does not prove and `--allow` permitted. */
    unproven: string[]
    why: string
  }
  REPAIR_NEEDLESS: { as: 'applied' | 'not applied' }
}
