import type { NoFacts, Reason } from './fact_shapes.js'

/** Facts of the findings about other migration tools, and about repairs of the ledger, by code. */
export interface FactsOfTools {
  EXPORTED: {
    /** Folder of the files. */
    to: string
    /** Files that are new, and those that were there already. */
    written: number
    kept: number
  }
  EXPORT_HELD: {
    /** Migrations that were not exported, this one included. */
    left: number
    /** Why the old application does not survive it; null where a phase was asked for. */
    because: string | null
    track: string
  }
  EXPORT_CONFLICT: Reason
  APPLIED_ELSEWHERE: {
    /** The tool whose history says so. */
    tool: string
    /** Migrations that the ledger does not know. */
    migrations: string[]
  }
  HISTORY_BEHIND: {
    tool: string
    /** Migrations that are applied here and that the tool's history does not have. */
    applied: string[]
    /** How many of those that this run applies it will not have either. */
    next: number
    /** Whether rethread can write the history of this tool. */
    keeps: boolean
  }
  FOLDER_NOT_READ: NoFacts
  ELSEWHERE_FAILED: {
    tool: string
    /** The row, as the tool names it, and when it was written. */
    row: string
    at: string | null
    /** The command that settles it in that tool. */
    settle: string
    track: string
  }
  ELSEWHERE_CHANGED: { tool: string; file: string; track: string }
  HISTORY_NOT_KEPT: Reason
  REPAIRED: {
    /** What the ledger says now. */
    as: 'applied' | 'not applied'
    /** How many objects and rows of the catalog show it. */
    shown: number
    /** What the catalog does not show, and was allowed by name. */
    unproven: string[]
    why: string
  }
  REPAIR_NEEDLESS: { as: 'applied' | 'not applied' }
}
