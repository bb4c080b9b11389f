/** Which database a file speaks of; `system` is null where the role may not ask. */
export interface DatabaseIdentity {
  name: string
  /** System identifier of the server: a copy made by pg_dump is another, a promoted standby is the same. */
  system: string | null
}

/** A plan as a reviewer saw it: `migrate --plan` refuses when anything of it has changed since. */
export interface Pin {
  format: 1
  track: string
  /** A plan for one database is no plan for another, whatever their files. */
  database: DatabaseIdentity
  wish: { to: string | null; phase: 'expand' | 'backfill' | 'contract' | null; backfills: boolean }
  /** Steps in order, each with the checksum of its file. */
  steps: { migration: string; checksum: string }[]
  /** What the ledger had applied, in order, with the checksums of then. */
  applied: { migration: string; checksum: string }[]
  /** Hazards that the steps carry, by name. */
  hazards: string[]
  /** Major version of the server; its catalog is compared only within it. */
  major: number
  /** Each object of the schema and a short hash of its definition. */
  catalog: Record<string, string>
}
