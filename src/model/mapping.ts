/**
 * What a track needs, by role, and what one database has for it. A role is an entity (`message`) bound to a
 * table, or one of its attributes (`message.author`) bound to a column of that table.
 */
interface Entity {
  /** The table as the track's files name it, as SQL. */
  table: string
  /** True for a table that the track makes; its name can be chosen. */
  new?: boolean
  /** attribute -> column as the track's files name it. */
  columns: Record<string, string>
  /** Attributes that only probes write: a database may do without. */
  optional?: string[]
}

/** Entities of a track by name. */
export type Roles = Record<string, Entity>

/** The column that a database has for an attribute. */
export interface ColumnBinding {
  /** Its name as the catalog has it. */
  column: string
  /** Its type as SQL, where it is another than the track's files say. */
  type?: string | undefined
  /** SQL that makes the value that the track reads, with `{}` for the column. */
  reads?: string | undefined
  /** SQL that makes the value to write from the one that the track has, with `{}` for that. */
  writes?: string | undefined
  /** What a person said of its values: `ms`, or `0:user,1:assistant`. */
  values?: string | undefined
  /** For ids: SQL that makes one, for the tables of the track whose ids are of the same kind. */
  makes?: string | undefined
  /** True for ids that are numbers, so that the ids of probes are. */
  number?: boolean | undefined
  /** True for ids that are texts too short for a uuid, so that the ids of probes are. */
  short?: boolean | undefined
  /** True for GENERATED ALWAYS AS IDENTITY: what writes a value says so. */
  always?: boolean | undefined
  /** For a column that the track knows nothing of and a row needs: SQL of the value that probes write. */
  probe?: string | undefined
}

/**
 * The roles of a track bound to one database: an entity to a table as SQL, an attribute to a column,
 * `identity` to the expression that says who asks. Null for an optional attribute that the database has no
 * column for, and for an optional entity that it has no table for. A role that is left out keeps the track's
 * own name.
 */
export type Mapping = Record<string, string | ColumnBinding | null>

/** The expression of the tracks that ship for who asks. */
export const shippedIdentity = 'auth.uid()'

/** What applications call a table that a track needs, and its columns. */
export interface RoleHint {
  /** Usual names beside the track's own. */
  called?: string[]
  /** column -> the entity whose rows it names, and usual names. */
  columns: Record<string, { of?: string; called?: string[] }>
  /** Of a table that a database may do without: `init` then leaves out what speaks of it. */
  optional?: Optional
}

/** How a track is without one of its tables. */
type Optional =
  | {
      /** What holds where there is none, in words. */
      without: string
      /** Functions of the track that are only about it, as SQL. */
      functions?: string[]
      /** The `unit` of backfills whose own is a column that names its rows. */
      unit?: string
    }
  | {
      /** The optional table that it comes and goes with. */
      with: string
    }

/** How a mapping, and `--map`, say that a database has no table for a role. */
export const noTable = 'none'

/** What the values of a track have the types of, as its description says. */
export interface TrackTypes {
  /** entity -> how `init` recognizes it in a database. */
  roles?: Record<string, RoleHint>
  /**
   * For a column of the application's (`workspaces.id`), the parameters, variables, functions and columns
   * of the track that have its type: `init` gives them the type that a database has. One that means
   * something else elsewhere is named with its function or table: `new_session.id`.
   */
  typed?: Record<string, string[]>
  /** SQL that makes what a message holds, of a column that holds it otherwise, with `{}` for the column. */
  reads?: { role?: string; content?: string; created?: string }
  /** For the first letter of the ids that probes write, the column that they are of. */
  probes?: Record<string, string>
}
