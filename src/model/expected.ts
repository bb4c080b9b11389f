/** A column: type and default as `format_type` and `pg_get_expr` print them under an empty search_path. */
interface ExpectedColumn {
  type: string
  nullable: boolean
  /** Left out for a column that must have none. */
  default?: string
}

/** An index: what `pg_get_indexdef` prints after USING, and after WHERE. */
interface ExpectedIndex {
  definition: string
  where?: string
  unique?: boolean
}

/** What a policy may be for. */
export const policyCommands = ['all', 'select', 'insert', 'update', 'delete'] as const

/** A policy. `using` and `check` are LIKE patterns of its expressions; without one there must be none. */
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

/** What is expected of one table. What is not named is not looked at. */
interface ExpectedTable {
  columns?: Record<string, ExpectedColumn>
  indexes?: Record<string, ExpectedIndex>
  /** LIKE patterns of what `pg_get_constraintdef` prints, by the constraint's name. */
  constraints?: Record<string, string>
  /** With policies, row level security must be on. */
  policies?: Record<string, ExpectedPolicy>
  /** True where permissive policies beside those named are no fault, as on a table of the application. */
  otherPolicies?: boolean
  /** Names of triggers that must be there and switched on. */
  triggers?: string[]
  /** Exactly these privileges by role, some on some columns; an empty list for a role that must have none. */
  grants?: Record<string, (TablePrivilege | Partial<Record<TablePrivilege, string[]>>)[]>
}

/** A function that must be there, its path `pg_catalog, pg_temp` or empty, and not open to everybody. */
interface ExpectedFunction {
  security: 'definer' | 'invoker'
}

/** One entry of `verify/<track>/expected.json`: what holds once `after` is applied, until `until` is. */
export interface Expectation {
  after: string
  until?: string
  /** By name with schema. */
  tables?: Record<string, ExpectedTable>
  /** By name with schema, without arguments: every function of that name is meant. */
  functions?: Record<string, ExpectedFunction>
}

/** What a shared check can read: its header `expects` names one of them. */
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

/** The entries that hold at what is applied, in their order. */
export const expectedNow = (expected: Expectation[], applied: ReadonlySet<string>): Expectation[] =>
  expected.filter(e => applied.has(e.after) && !(e.until && applied.has(e.until)))

/** True where an entry says anything of a kind. */
const speaksOf = (entry: Expectation, kind: ExpectedKind): boolean =>
  kind === 'functions'
    ? entry.functions !== undefined
    : Object.values(entry.tables ?? {}).some(table => table[kind] !== undefined)

/** Why a shared check has nothing to compare with, else null: it would pass without having looked. */
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

/** Why a check means nothing at what is applied, and whether it will or did. */
export interface NotOfUse {
  reason: string
  applies: 'not yet' | 'no longer' | 'never'
}

/** Why a check means nothing at what is applied, else null. */
export const whyNotRun = (
  check: { after: string | null; until: string | null },
  applied: ReadonlySet<string>,
): NotOfUse | null =>
  check.after && !applied.has(check.after)
    ? { reason: `${check.after} is not applied`, applies: 'not yet' }
    : check.until && applied.has(check.until)
      ? { reason: `of use until ${check.until}`, applies: 'no longer' }
      : null
