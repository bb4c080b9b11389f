/** A plan as a reviewer saw it: `migrate --plan` refuses when anything of it has changed since. */
export interface Pin {
  format: 1
  track: string
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
