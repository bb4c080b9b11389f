import { nameAt, partText } from '../model/table_name.js'
import type { MadeColumn, MadeObject } from './made_objects.sql.js'

/** Name that something in the way gets; nothing of the application refers to it by name. */
const nameAside = (name: string): string => `${name.slice(0, 50)}_before_adoption`

/** Schema of a relation that is written as SQL, as SQL. */
const schemaPart = (relation: string): string => partText(nameAt(relation)!.parts[0]!)

/** A column as CREATE TABLE and ADD COLUMN have it. */
const columnSql = (name: string, c: MadeColumn): string =>
  [
    partText(name),
    c.type,
    c.generated === ''
      ? c.identity !== ''
        ? `generated ${c.identity === 'a' ? 'always' : 'by default'} as identity`
        : c.default === null
          ? ''
          : `default ${c.default}`
      : `generated always as (${c.default}) stored`,
    c.notNull ? 'not null' : '',
  ]
    .filter(Boolean)
    .join(' ')

/** A table with its columns, in their order; everything else on it has statements of its own. */
export const tableSql = (relation: string, columns: MadeObject[]): string =>
  `create table ${relation} (\n${columns.map(c => `  ${columnSql(c.name, c.column!)}`).join(',\n')}\n);`

/** A column that is missing. */
export const addColumnSql = ({ relation, name, column }: MadeObject): string =>
  `alter table ${relation} add column ${columnSql(name, column!)};`

/** Type, default and nullability of a column that is there. NOT NULL is proven later. */
export function alterColumn(want: MadeObject, has: MadeColumn): string {
  const column = partText(want.name)
  const { type, default: value, notNull } = want.column!
  const parts: string[] = []
  const retyped = type !== has.type
  if (retyped && has.default !== null) parts.push(`alter column ${column} drop default`)
  if (retyped) parts.push(`alter column ${column} type ${type} using ${column}::${type}`)
  if (value !== null && (retyped || value !== has.default))
    parts.push(`alter column ${column} set default ${value}`)
  if (value === null && has.default !== null && !retyped) parts.push(`alter column ${column} drop default`)
  if (!notNull && has.notNull) parts.push(`alter column ${column} drop not null`)
  return parts.length === 0 ? '' : `alter table ${want.relation}\n  ${parts.join(',\n  ')};`
}

/** A new type that takes each value only in a way that somebody must choose. */
export const changeType = ({ relation, name, column }: MadeObject, from: string): string => {
  const zone = /without time zone$/.test(from) && /with time zone$/.test(column!.type)
  const value = zone ? `${partText(name)} at time zone 'UTC'` : `${partText(name)}::${column!.type}`
  return `alter table ${relation} alter column ${partText(name)} type ${column!.type} using ${value};`
}

/** Lets a column be left out. */
export const dropNotNullSql = ({ relation, name }: MadeObject): string =>
  `alter table ${relation} alter column ${partText(name)} drop not null;`

/** NOT NULL without reading the table under its lock: a check first, proven after the commit. */
export function requireValues({ relation, name }: MadeObject): { first: string; later: string } {
  const check = partText(`${name.slice(0, 50)}_present`)
  return {
    first: `alter table ${relation} add constraint ${check} check (${partText(name)} is not null) not valid;`,
    later: [
      `alter table ${relation} validate constraint ${check};`,
      `alter table ${relation} alter column ${partText(name)} set not null;`,
      `alter table ${relation} drop constraint ${check};`,
    ].join('\n'),
  }
}

/** Gives the rows without a value one: the default, or what somebody puts there. */
export const fillNullsSql = ({ relation, name, column }: MadeObject): string =>
  `update ${relation} set ${partText(name)} = ${column!.default ?? '<a value>'} where ${partText(name)} is null;`

/** Keys and checks; what can be proven later is. */
export function constraintSql({ relation, name, definition, constraint }: MadeObject): {
  first: string
  later: string
} {
  const provable = constraint!.type === 'c' || constraint!.type === 'f'
  return {
    first: `alter table ${relation} add constraint ${partText(name)} ${definition}${provable ? ' not valid' : ''};`,
    later: provable ? validateSql({ relation, name }) : '',
  }
}

/** Proves a constraint beside readers and writers. */
export const validateSql = ({ relation, name }: Pick<MadeObject, 'relation' | 'name'>): string =>
  `alter table ${relation} validate constraint ${partText(name)};`

/** Takes a constraint away that another one replaces. */
export const dropConstraintSql = ({ relation, name }: MadeObject): string =>
  `alter table ${relation} drop constraint ${partText(name)};`

/** Gives something another name, by default one that is in nobody's way: nothing of it is lost. */
export function rename({ kind, relation, name }: MadeObject, to = nameAside(name)): string {
  const aside = partText(to)
  switch (kind) {
    case 'index':
      return `alter index ${schemaPart(relation)}.${partText(name)} rename to ${aside};`
    case 'policy':
      return `alter policy ${partText(name)} on ${relation} rename to ${aside};`
    case 'trigger':
      return `alter trigger ${partText(name)} on ${relation} rename to ${aside};`
    case 'constraint':
      return `alter table ${relation} rename constraint ${partText(name)} to ${aside};`
    case 'column':
      return `alter table ${relation} rename column ${partText(name)} to ${aside};`
    case 'function':
      return `alter routine ${relation} rename to ${partText(nameAside(bareName(relation)))};`
    default:
      return `alter ${kind} ${relation} rename to ${partText(nameAside(bareName(relation)))};`
  }
}

/** Name without schema, quotes and arguments. */
const bareName = (relation: string): string => nameAt(relation)!.parts.at(-1)!

/** An index as the server writes it, built beside writers where asked. */
export const indexSql = ({ definition }: MadeObject, concurrently: boolean): string =>
  `${concurrently ? definition.replace(/^(CREATE (?:UNIQUE )?INDEX)/, '$1 CONCURRENTLY') : definition};`

/** Takes a trigger away. */
export const dropTriggerSql = ({ relation, name }: MadeObject): string =>
  `drop trigger ${partText(name)} on ${relation};`

/** Takes a policy away. */
export const dropPolicySql = ({ relation, name }: MadeObject): string =>
  `drop policy ${partText(name)} on ${relation};`

/** A policy as the server writes it. */
export const policySql = ({ relation, name, definition }: MadeObject): string =>
  `create policy ${partText(name)} on ${relation} ${definition};`

/** A view as the server writes it. */
export const viewSql = ({ relation, definition }: MadeObject): string =>
  `create or replace view ${relation} as\n${definition.replace(/;\s*$/, '')};`

const identities: Record<string, string> = { d: 'default', n: 'nothing', f: 'full' }

/** What says how a table is: row security and replica identity. */
export const setQuality = ({ kind, relation, definition }: MadeObject): string =>
  kind === 'row security'
    ? `alter table ${relation} ${definition === 'on' ? 'enable' : 'disable'} row level security;`
    : `alter table ${relation} replica identity ${identities[definition] ?? 'default'};`

/** An empty table with the columns that files need, which nobody of the API sees. */
export const createRequired = (relation: string, columns: { name: string; type: string }[]): string =>
  [
    `create table ${relation} (\n${columns
      .map(
        c =>
          `  ${partText(c.name)} ${c.type}${c.name !== 'id' ? '' : c.type === 'uuid' ? ' primary key default gen_random_uuid()' : ' primary key'}`,
      )
      .join(',\n')}\n);`,
    `alter table ${relation} enable row level security;`,
  ].join('\n')

/** Gives a table the name of another one that is gone. */
export const renameTableSql = (from: string, to: string): string =>
  `alter table ${from} rename to ${partText(bareName(to))};`

/** Puts a table aside, with the names of its indexes. */
export const tableAside = (table: string, indexes: string[]): string[] => [
  `alter table ${table} rename to ${partText(nameAside(bareName(table)))};`,
  ...indexes.map(
    name => `alter index ${schemaPart(table)}.${partText(name)} rename to ${partText(nameAside(name))};`,
  ),
]

/** Brings what each row derives from others into step, as the triggers do from then on. */
export const catchUpSql = (table: string, expression: string): string =>
  `do $$ begin perform ${expression} from ${table}; end $$;`

/** The statements as one text for psql: all that must hold together in one transaction, then the rest. */
export const fixUpText = (head: string[], inside: string[], after: string[]): string =>
  [
    ...head.map(line => `-- ${line}`.trimEnd()),
    ...(inside.length > 0
      ? [
          '',
          'begin;',
          "set local search_path = '';",
          "set local lock_timeout = '2s';",
          'set local check_function_bodies = off;',
          '',
          ...inside,
          '',
          'commit;',
        ]
      : []),
    ...(after.length > 0
      ? ['', '-- Not in a transaction: writers are not kept waiting while this reads the tables.', ...after]
      : []),
    '',
  ].join('\n')

/** Lines as a comment. */
export const commented = (text: string): string =>
  text
    .split('\n')
    .map(line => `-- ${line}`.trimEnd())
    .join('\n')
