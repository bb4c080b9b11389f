import type { Finding } from './report.js'

/**
 * How a file is executed. `one`: in one transaction. `none`: each statement alone, with a proof in the
 * catalog. Files of other tools: `each`, one transaction for each statement that allows it; `as-needed`,
 * until its statements decide between `one` and `parts` (several transactions).
 */
export type Transaction = 'one' | 'none' | 'as-needed' | 'parts' | 'each'

/** A migration in the layout of another tool, with what that tool's history records. */
export interface ForeignFile {
  /** As the tool writes it; empty if it has none. */
  version: string
  /** As the tool writes it. */
  description: string
  /** The file or folder that identifies it in the tool, below the folder of its layout. */
  script: string
  /** The complete file as it is on disk. Tools take checksums of it. */
  source: string
  /** True if it runs again whenever its text changes. */
  repeatable: boolean
  /** Its time of creation, in milliseconds since 1970, if the tool orders by it; else null. */
  at: number | null
  /** Faults of the file. They matter as long as the migration is not applied. */
  faults: Finding[]
}

/** Makes a file that runs once, in the order of its name or version. */
export const foreignFile = (
  file: Pick<ForeignFile, 'version' | 'description' | 'script' | 'source'>,
): Omit<ForeignFile, 'faults'> => ({ ...file, repeatable: false, at: null })

/** True for a file of another tool that has no rollback. */
export const isOneWay = (m: {
  foreign: object | null
  rollback: object | null
  undoneBy: string | null
}): boolean => m.foreign !== null && m.rollback === null && m.undoneBy === null

/** The layout of another tool. */
export interface ForeignLayout {
  /** Name for `--layout`. */
  name: string
  /** The tool, as a sentence names it. */
  title: string
  /** Folder of the files, below the track's root. `.` is the root itself. */
  folder: string
  /** Faults of the files as a group, such as duplicate versions. */
  faults: Finding[]
}
