import { type Mapping, noTable } from '../model/mapping.js'
import type { ApplicationColumn, ApplicationTable } from './application_tables.sql.js'
import { nameScore } from './choose_tables.js'
import { absentColumns, absentRoles, companion, type RoleHints } from './left_out.js'
import { likeness, namedAfter } from './likeness.js'
import { type Proposal, type ProposedBinding, propose, shortName } from './propose.js'
import type { WantedTable } from './wanted.js'

/** What a track needs of an application that has no table for some roles. */
const wantedWithout = (wanted: WantedTable[], hints: RoleHints, absent: readonly string[]): WantedTable[] =>
  wanted
    .filter(w => !absent.includes(w.entity))
    .map(w => {
      const gone = absentColumns(hints[w.entity], absent)
      return { ...w, columns: w.columns.filter(c => !gone.includes(c.column)) }
    })

/**
 * Proposes tables and columns for what a track needs. An optional table is none where a person says so, and
 * where no table is like it and no column would lead to it. `given` has the roles too that go along.
 */
export function proposeOptional(
  wanted: WantedTable[],
  all: ApplicationTable[],
  given: Mapping,
  hints: RoleHints,
): Proposal {
  const isNone = (w: WantedTable, column: string) => given[`${w.entity}.${column}`] === null
  const found = proposeTables(
    wanted.map(w => ({ ...w, columns: w.columns.filter(c => !isNone(w, c.column)) })),
    all,
    given,
    hints,
  )
  const said = wanted.flatMap(w => w.columns.filter(c => isNone(w, c.column)).map(c => saidNone(w, c.column)))
  return { ...found, bindings: [...found.bindings, ...said] }
}

const saidNone = (want: WantedTable, column: string): ProposedBinding => ({
  role: `${want.entity}.${column}`,
  label: `${shortName(want.table)}.${column}`,
  to: noTable,
  isNone: true,
  confidence: 'certain',
  because: 'as you said',
  rivals: [],
  renamed: true,
})

/** Proposes the tables, and of their columns those that are not said to be none. */
function proposeTables(
  wanted: WantedTable[],
  all: ApplicationTable[],
  given: Mapping,
  hints: RoleHints,
): Proposal {
  const said = absentRoles(hints, given)
  const [lead] = Object.keys(hints).filter(
    role => holdsWithout(hints, role) !== null && given[role] === undefined,
  )
  const roles = said.length > 0 || lead === undefined ? said : withFollowers(hints, lead)
  const known = roles.filter(role => wanted.some(w => w.entity === role))
  if (known.length === 0) return propose(wanted, all, given)
  const reduced = propose(wantedWithout(wanted, hints, known), all, given)
  const evidence =
    said.length > 0
      ? { confidence: 'certain' as const, because: 'as you said' }
      : whyNone(wanted, all, hints, lead!, reduced)
  if (evidence === null || known.some(role => typeof given[role] === 'string'))
    return hinted(propose(wanted, all, given), known, hints)
  const bindings = known.map((role): ProposedBinding => {
    const isLead = holdsWithout(hints, role) !== null
    const found = isLead
      ? evidence
      : {
          confidence: 'certain' as const,
          because: `it goes along with ${lead ?? said.find(r => holdsWithout(hints, r) !== null)}`,
        }
    const label = shortName(wanted.find(w => w.entity === role)!.table)
    return { role, label, to: noTable, rivals: [], renamed: isLead, ...found }
  })
  const absent = Object.fromEntries(known.map(role => [role, null]))
  return {
    ...reduced,
    bindings: [...bindings, ...reduced.bindings],
    mapping: { ...reduced.mapping, ...absent },
  }
}

/** What holds where a role that may be absent by itself is absent, in words; null for other roles. */
function holdsWithout(hints: RoleHints, role: string): string | null {
  const optional = hints[role]?.optional
  return optional && 'without' in optional ? optional.without : null
}

/** A role and those that come and go with it. */
const withFollowers = (hints: RoleHints, lead: string): string[] => [
  lead,
  ...Object.keys(hints).filter(role => companion(hints[role]) === lead),
]

/** A proposal which says of what nothing is like, and an optional table has, that there may be none. */
const hinted = (p: Proposal, optional: string[], hints: RoleHints): Proposal => ({
  ...p,
  bindings: p.bindings.map(b => {
    const [entity, column] = b.role.split('.') as [string, string | undefined]
    const of = column === undefined ? entity : hints[entity]?.columns[column]?.of
    return b.to === null && of !== undefined && optional.includes(of)
      ? { ...b, because: `${b.because}: where there is none, --map ${optional[0]}=${noTable}` }
      : b
  }),
})

/**
 * Why a database has no table for a role, and how sure that is; null where it may have one: a column is named
 * after it, or tables are like it and like one that goes along with it.
 */
function whyNone(
  wanted: WantedTable[],
  all: ApplicationTable[],
  hints: RoleHints,
  lead: string,
  reduced: Proposal,
): Pick<ProposedBinding, 'confidence' | 'because'> | null {
  const want = wanted.find(w => w.entity === lead)!
  const chosen = [...reduced.tables.values()]
  const alike = (w: WantedTable) => all.filter(t => !chosen.includes(t) && nameScore(w, t) > 0)
  const [like] = alike(want)
  const holds = holdsWithout(hints, lead)!
  let doubt: string | null = like ? `\`${like.table}\` could be it by its name only` : null
  const followers = withFollowers(hints, lead).slice(1)
  if (like && followers.some(role => alike(wanted.find(w => w.entity === role)!).length > 0)) return null
  for (const holder of wanted.filter(
    w => w.columns.some(c => c.of === lead) && reduced.columns.has(w.entity),
  )) {
    const fitted = new Set(reduced.columns.get(holder.entity)!.map(f => f.column))
    const leads = holder.columns.filter(c => c.of === lead)
    for (const column of reduced.tables.get(holder.entity)!.columns.filter(c => !fitted.has(c))) {
      const isNamed =
        leads.some(l => likeness(column.column, l.column, l.called) > 0) ||
        [want.table.split('.').at(-1)!, ...want.called].some(name => namedAfter(column.column, name))
      const other = leadsElsewhere(column, chosen)
      if (isNamed || (like && other === like.table)) return null
      doubt ??= other && `\`${column.column}\` leads to \`${other}\`, which could be it`
    }
  }
  // without a table whose rows would belong to it nothing is known
  if (!wanted.some(w => w.columns.some(c => c.of === lead) && reduced.tables.has(w.entity))) return null
  return doubt === null
    ? { confidence: 'certain', because: `no table is like it: ${holds}` }
    : { confidence: 'likely', because: `${holds}; ${doubt}` }
}

/** The table that a column references, where that is none that has been chosen. */
const leadsElsewhere = (column: ApplicationColumn, chosen: ApplicationTable[]): string | null =>
  column.references.find(r => chosen.every(t => t.table !== r.table))?.table ?? null
