/**
 * An entity that a track needs. Mappings use two kinds of role: an entity (`message`) is bound to a table,
 * and an attribute (`message.author`) to a column of that table.
 */
interface Entity {
  /** The name of the table in the track's files, as SQL. */
  table: string
  /** True for a table that the track creates. Its name can be chosen. */
  new?: boolean
  /** By attribute, the name of the column in the track's files. */
  columns: Record<string, string>
  /** Attributes that only probes write. A database may lack them. */
  optional?: string[]
}

/** Entities of a track by name. */
export type Roles = Record<string, Entity>

/** The column of a database for an attribute. */
export interface ColumnBinding {
  /** Its name in the catalog. */
  column: string
  /** Its type as SQL, if it differs from the track's files. */
  type?: string | undefined
  /** SQL that converts the column to the value that the track reads. `{}` is the column. */
  reads?: string | undefined
  /** SQL that converts a value of the track to the value to write. `{}` is the value. */
  writes?: string | undefined
  /** The declared meaning of its values: `ms`, or `0:user,1:assistant`. */
  values?: string | undefined
  /** For ids: SQL that generates one, for the track's tables with ids of the same kind. */
  makes?: string | undefined
  /** True for ids that are numbers. Probes then use numbers. */
  number?: boolean | undefined
  /** True for ids that a constraint keeps from being negative. */
  positive?: boolean | undefined
  /** True for ids that are texts too short for a uuid. Probes then use short texts. */
  short?: boolean | undefined
  /** True for GENERATED ALWAYS AS IDENTITY: an INSERT with a value needs OVERRIDING SYSTEM VALUE. */
  always?: boolean | undefined
  /** For a required column that the track does not know: SQL of the value that probes write. */
  probe?: string | undefined
}

/**
 * The roles of a track in one database. An entity has the name of a table as SQL, an attribute has a column,
 * and `identity` has the expression for the current user. Null means that the database lacks an optional
 * entity or attribute. A role that is omitted keeps the track's own name.
 */
export type Mapping = Record<string, string | ColumnBinding | null>

/** The expression for the current user in the shipped tracks. */
export const shippedIdentity = 'auth.uid()'

/** Hints to find a column of a table. */
interface ColumnHint {
  /** The entity whose rows it references. */
  of?: string
  /** Usual names besides the track's own. */
  called?: string[]
  /** By each word that the track knows as its value: usual words of applications for it. */
  words?: Record<string, string[]>
  /** Of a reference: true if the track also reads rows without one, so that the column may be added empty. */
  nullable?: boolean
  /** Of a column that a table may do without. */
  optional?: OptionalColumn
  /** Of one that it may not: what the track does with it, in words. */
  needed?: string
}

/** How a track is without a column of the application. */
export interface OptionalColumn {
  /** What holds where there is none, in words. */
  without: string
  /** The column that is read in its place where a value is inserted or rows are ordered. */
  instead?: string
  /** SQL of the value that all rows are read with. */
  value?: string
  /** Columns of the track's tables that nothing of the application then holds, as `schema.table.column`. */
  alone?: string[]
}

/** Hints to find a table and its columns in a database. */
export interface RoleHint {
  /** Usual names besides the track's own. */
  called?: string[]
  columns: Record<string, ColumnHint>
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

/** How a mapping, and `--map`, say that a database has no table or column for a role. */
export const noTable = 'none'

/** The part of a track's description that is about types of values. */
export interface TrackTypes {
  /** By entity, how `init` finds it in a database. */
  roles?: Record<string, RoleHint>
  /**
   * By column of the application (`workspaces.id`): the parameters, variables, functions and columns of the
   * track that have its type. `init` gives them the type in the database. A name with several meanings is
   * qualified by its function or table: `new_session.id`.
   */
  typed?: Record<string, string[]>
  /** SQL that converts columns of messages to what they mean. `{}` is the column. */
  reads?: { role?: string; content?: string; created?: string }
  /** By first letter of the ids that probes write: the column that the ids belong to. */
  probes?: Record<string, string>
}
