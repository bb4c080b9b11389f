import type { DatabaseIdentity } from './pin.js'

/** What `prove` found, as it was signed off: `prove --against` says what has changed since. */
export interface KeptProof {
  format: 1
  /** Version of rethread. */
  tool: string
  /** The server's time, as PostgreSQL writes it. */
  at: string
  track: string
  database: DatabaseIdentity
  /** Version of the server, and its major: catalogs and hashes compare only within it. */
  server: string
  major: number
  verdict: string
  /** Migrations in the order of the ledger, each with the checksum of its file as it was applied. */
  applied: { migration: string; checksum: string }[]
  /** Every check that the track has, with the checksum of its file and what it came to. */
  checks: { check: string; checksum: string; outcome: string }[]
  /** What came in, by object: what it became. */
  accounts: {
    object: string
    cameIn: number
    migrated: number
    quarantined: number
    failed: number
    missing: number
  }[]
  /** What each backfill left: units, rows and an order-free hash of their content. */
  backfills: { migration: string; units: number; rows: number; hash: string }[]
  /** Tables of the track: rows, and an order-free hash of them, up to `at` where rows have a time. */
  tables: { table: string; dated: boolean; rows: number; hash: string }[]
  /** Each object of the schema and a short hash of its definition. */
  catalog: Record<string, string>
}
