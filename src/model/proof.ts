import type { DatabaseIdentity } from './pin.js'

/** A result of `prove`, to be compared later with `prove --against`. */
export interface KeptProof {
  format: 1
  /** Version of rethread. */
  tool: string
  /** The server's time, as PostgreSQL writes it. */
  at: string
  track: string
  database: DatabaseIdentity
  /** Version of the server, and its major version: catalogs and hashes are only comparable within it. */
  server: string
  major: number
  verdict: string
  /** Migrations in the order of the ledger, each with the checksum of its file as it was applied. */
  applied: { migration: string; checksum: string }[]
  /** All checks of the track, with the checksums of their files and their outcomes. */
  checks: { check: string; checksum: string; outcome: string }[]
  /** What came in, by object, and what it became. */
  accounts: {
    object: string
    cameIn: number
    migrated: number
    quarantined: number
    failed: number
    missing: number
  }[]
  /** The result of each backfill: units, rows, and a hash of the content that does not depend on order. */
  backfills: { migration: string; units: number; rows: number; hash: string }[]
  /**
   * Tables of the track: rows, and a hash that does not depend on order. Of tables with a time, only rows up
   * to `at`.
   */
  tables: { table: string; dated: boolean; rows: number; hash: string }[]
  /** Each object of the schema and a short hash of its definition. */
  catalog: Record<string, string>
}
