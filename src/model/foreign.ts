import type { Finding } from './report.js'

/**
 * How a file is executed. `one`: in one transaction; `none`: each statement alone, provable from the catalog.
 * Files of other tools: `as-needed`, until its statements have decided between `one` and `parts` (as many
 * transactions as it takes), or `each`, a transaction for each statement that can be in one.
 */
export type Transaction = 'one' | 'none' | 'as-needed' | 'parts' | 'each'

/** What another tool knows about a migration of its layout, for its history. */
export interface ForeignFile {
  /** As the tool writes it; empty where it has none. */
  version: string
  /** As the tool writes it. */
  description: string
  /** File or folder by which the tool knows it, below the folder of its layout. */
  script: string
  /** The whole file as it is on disk: tools take checksums of it. */
  source: string
  /** True when it runs again whenever its text has changed. */
  repeatable: boolean
  /** When it was made, in milliseconds since 1970, where the tool orders by that; else null. */
  at: number | null
  /** What is wrong with it: it matters as long as the migration is not applied. */
  faults: Finding[]
}

/** A file that runs once, in the order of its name or version. */
export const foreignFile = (
  file: Pick<ForeignFile, 'version' | 'description' | 'script' | 'source'>,
): Omit<ForeignFile, 'faults'> => ({ ...file, repeatable: false, at: null })

/** True for a file of another tool that nothing takes back. */
export const isOneWay = (m: {
  foreign: object | null
  rollback: object | null
  undoneBy: string | null
}): boolean => m.foreign !== null && m.rollback === null && m.undoneBy === null

/** Whose layout a track has, where it is not our own. */
export interface ForeignLayout {
  /** Name for `--layout`. */
  name: string
  /** The tool, as a sentence names it. */
  title: string
  /** Folder of the files, below the track's root; `.` for the root itself. */
  folder: string
  /** What is wrong with the files side by side. */
  faults: Finding[]
}
