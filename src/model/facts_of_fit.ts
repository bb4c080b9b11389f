import type { Some } from './fact_shapes.js'

/** Facts of the findings about how a track fits the names and types of a database, by code. */
export interface FactsOfFit {
  ELEMENTS_SET_ASIDE: {
    /** How many of those that were looked at, and how many these are. */
    elements: number
    of: number
    /** The shapes of those that are set aside; `unknown` is one. */
    shapes: Some
  }
  NEAREST_TRACK: {
    /** Roles of the track: tables, columns and who asks; and for how many of them something was found. */
    roles: number
    found: number
    /** What differs from the database that the track is written for, a line each. */
    differs: string[]
    /** The command that copies the track under the names of the database. */
    command: string
  }
  WITHOUT_API: {
    /** Roles of the application, as SQL, that get what they have on messages. */
    roles: string[]
  }
  MAPPING_UNUSED: {
    /** Keys of the mapping. */
    roles: string[]
  }
  MAPPING_OPEN: {
    /** Roles that a person must name, and for each the most likely name; empty where there is none. */
    roles: string[]
    names: string[]
    /** What there is to choose from and why, a line for each role. */
    questions: string[]
    /** The command with everything that was found. */
    command: string
  }
  MAPPING_DIFFERS: {
    /** The binding that the track was written with, and that of today, as JSON; null where there is none. */
    written: string | null
    now: string | null
    /** Files of the track that it would change. */
    files: string[]
  }
  MAPPING_HOLDS: { names: number }
}
