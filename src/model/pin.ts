/** Identifies a database. `system` is null if the role may not read it. */
export interface DatabaseIdentity {
  name: string
  /** System identifier of the server. A copy by pg_dump has another one; a promoted standby has the same. */
  system: string | null
}

/** A plan that was reviewed. `migrate --plan` refuses if anything in it has changed since. */
export interface Pin {
  format: 1
  track: string
  /** A plan is only valid for its database, even if another one has the same files. */
  database: DatabaseIdentity
  wish: { to: string | null; phase: 'expand' | 'backfill' | 'contract' | null; backfills: boolean }
  /** Steps in order, each with the checksum of its file. */
  steps: { migration: string; checksum: string }[]
  /** The applied migrations in the ledger, in order, with their checksums at that time. */
  applied: { migration: string; checksum: string }[]
  /** Codes of the hazards of the steps. */
  hazards: string[]
  /** Major version of the server. The catalog is only compared between equal versions. */
  major: number
  /** Each object of the schema and a short hash of its definition. */
  catalog: Record<string, string>
}
