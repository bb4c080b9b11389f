/** A column. Type and default are as `format_type` and `pg_get_expr` print them with an empty search_path. */
interface ExpectedColumn {
  type: string
  nullable: boolean
  /** Omitted for a column without a default. */
  default?: string
}

/** An index: what `pg_get_indexdef` prints after USING, and after WHERE. */
interface ExpectedIndex {
  definition: string
  where?: string
  unique?: boolean
}

/** The commands that a policy can be for. */
export const policyCommands = ['all', 'select', 'insert', 'update', 'delete'] as const

/**
 * A policy. `using` and `check` are LIKE patterns for its expressions. If one is omitted, the policy must not
 * have it.
 */
interface ExpectedPolicy {
  command: (typeof policyCommands)[number]
  roles: string[]
  using?: string
  check?: string
  /** False for a restrictive policy. */
  permissive?: boolean
}

/** Privileges on a table that a role is expected to have or to lack. */
export const tablePrivileges = ['select', 'insert', 'update', 'delete'] as const
type TablePrivilege = (typeof tablePrivileges)[number]

/** What is expected of one table. A part that is omitted is not checked. */
interface ExpectedTable {
  columns?: Record<string, ExpectedColumn>
  indexes?: Record<string, ExpectedIndex>
  /** By constraint name, a LIKE pattern for the output of `pg_get_constraintdef`. */
  constraints?: Record<string, string>
  /** If policies are given, row level security must be on. */
  policies?: Record<string, ExpectedPolicy>
  /** True if other permissive policies are allowed, for example on a table of the application. */
  otherPolicies?: boolean
  /** Triggers that must exist and be enabled. */
  triggers?: string[]
  /** The exact privileges of each role; some may be on columns only. An empty list means none. */
  grants?: Record<string, (TablePrivilege | Partial<Record<TablePrivilege, string[]>>)[]>
}

/**
 * A function that must exist. PUBLIC may not execute it, and its search_path is `pg_catalog, pg_temp` or
 * empty.
 */
interface ExpectedFunction {
  security: 'definer' | 'invoker'
}

/** One entry of `verify/<track>/expected.json`. It applies once `after` is applied and until `until` is. */
export interface Expectation {
  after: string
  until?: string
  /** By name with schema. */
  tables?: Record<string, ExpectedTable>
  /** By name with schema and without arguments. The entry is for all functions with the name. */
  functions?: Record<string, ExpectedFunction>
}

/** The parts of an expectation. The header `expects` of a shared check names one. */
export const expectedKinds = [
  'columns',
  'indexes',
  'constraints',
  'policies',
  'triggers',
  'grants',
  'functions',
] as const
/** One of them. */
export type ExpectedKind = (typeof expectedKinds)[number]

/** The entries that apply with these migrations applied, in order. */
export const expectedNow = (expected: Expectation[], applied: ReadonlySet<string>): Expectation[] =>
  expected.filter(e => applied.has(e.after) && !(e.until && applied.has(e.until)))

/** True if an entry has a part of this kind. */
const speaksOf = (entry: Expectation, kind: ExpectedKind): boolean =>
  kind === 'functions'
    ? entry.functions !== undefined
    : Object.values(entry.tables ?? {}).some(table => table[kind] !== undefined)

/** Why a shared check has nothing to compare, else null. Without this it would pass without a look. */
export function whyNothingExpected(
  expected: Expectation[],
  kind: ExpectedKind,
  applied: ReadonlySet<string>,
): NotOfUse | null {
  const some = expected.filter(e => speaksOf(e, kind))
  if (some.length === 0) return { reason: `expected.json of the track names no ${kind}`, applies: 'never' }
  if (expectedNow(some, applied).length > 0) return null
  return { reason: `expected.json of the track names ${kind} from ${some[0]!.after} on`, applies: 'not yet' }
}

/** Why a check does not apply now, and whether it will or did. */
export interface NotOfUse {
  reason: string
  applies: 'not yet' | 'no longer' | 'never'
}

/** Why a check does not apply with these migrations applied, else null. */
export const whyNotRun = (
  check: { after: string | null; until: string | null },
  applied: ReadonlySet<string>,
): NotOfUse | null =>
  check.after && !applied.has(check.after)
    ? { reason: `${check.after} is not applied`, applies: 'not yet' }
    : check.until && applied.has(check.until)
      ? { reason: `of use until ${check.until}`, applies: 'no longer' }
      : null
