import { nameAt, partText } from '../model/table_name.js'
import type { MadeColumn, MadeObject } from './made_objects.sql.js'

/** The new name of an object that is in the way. Nothing in the application uses its name. */
const nameAside = (name: string): string => `${name.slice(0, 50)}_before_adoption`

/** The schema of a relation; both are SQL. */
const schemaPart = (relation: string): string => partText(nameAt(relation)!.parts[0]!)

/** A column definition for CREATE TABLE and ADD COLUMN. */
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

/** CREATE TABLE with columns in order. Everything else on the table has statements of its own. */
export const tableSql = (relation: string, columns: MadeObject[]): string =>
  `create table ${relation} (\n${columns.map(c => `  ${columnSql(c.name, c.column!)}`).join(',\n')}\n);`

/** ADD COLUMN for a missing column. */
export const addColumnSql = ({ relation, name, column }: MadeObject): string =>
  `alter table ${relation} add column ${columnSql(name, column!)};`

/** Changes type, default and nullability of an existing column. NOT NULL is proved later. */
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

/** Changes a type with a conversion that a person must choose. */
export const changeType = ({ relation, name, column }: MadeObject, from: string): string => {
  const zone = /without time zone$/.test(from) && /with time zone$/.test(column!.type)
  const value = zone ? `${partText(name)} at time zone 'UTC'` : `${partText(name)}::${column!.type}`
  return `alter table ${relation} alter column ${partText(name)} type ${column!.type} using ${value};`
}

/** DROP NOT NULL. */
export const dropNotNullSql = ({ relation, name }: MadeObject): string =>
  `alter table ${relation} alter column ${partText(name)} drop not null;`

/**
 * NOT NULL without reading the table under an exclusive lock: first a CHECK, which is validated after the
 * commit.
 */
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

/** Fills rows without a value: with the default, or a placeholder for a person to replace. */
export const fillNullsSql = ({ relation, name, column }: MadeObject): string =>
  `update ${relation} set ${partText(name)} = ${column!.default ?? '<a value>'} where ${partText(name)} is null;`

/** Adds a key or check. What can be validated later is. */
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

/** Validates a constraint, which blocks neither readers nor writers. */
export const validateSql = ({ relation, name }: Pick<MadeObject, 'relation' | 'name'>): string =>
  `alter table ${relation} validate constraint ${partText(name)};`

/** Drops a constraint that is replaced by another. */
export const dropConstraintSql = ({ relation, name }: MadeObject): string =>
  `alter table ${relation} drop constraint ${partText(name)};`

/** Renames an object, by default to a name that is not in the way. Nothing of it is lost. */
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

/** A name without schema, quotes and arguments. */
const bareName = (relation: string): string => nameAt(relation)!.parts.at(-1)!

/** CREATE INDEX, optionally CONCURRENTLY. */
export const indexSql = ({ definition }: MadeObject, concurrently: boolean): string =>
  `${concurrently ? definition.replace(/^(CREATE (?:UNIQUE )?INDEX)/, '$1 CONCURRENTLY') : definition};`

/** DROP TRIGGER. */
export const dropTriggerSql = ({ relation, name }: MadeObject): string =>
  `drop trigger ${partText(name)} on ${relation};`

/** DROP POLICY. */
export const dropPolicySql = ({ relation, name }: MadeObject): string =>
  `drop policy ${partText(name)} on ${relation};`

/** CREATE POLICY with the server's definition. */
export const policySql = ({ relation, name, definition }: MadeObject): string =>
  `create policy ${partText(name)} on ${relation} ${definition};`

/** CREATE VIEW with the server's definition. */
export const viewSql = ({ relation, definition }: MadeObject): string =>
  `create or replace view ${relation} as\n${definition.replace(/;\s*$/, '')};`

const identities: Record<string, string> = { d: 'default', n: 'nothing', f: 'full' }

/** Sets a property of a table: row security or replica identity. */
export const setQuality = ({ kind, relation, definition }: MadeObject): string =>
  kind === 'row security'
    ? `alter table ${relation} ${definition === 'on' ? 'enable' : 'disable'} row level security;`
    : `alter table ${relation} replica identity ${identities[definition] ?? 'default'};`

/** Creates an empty table with the columns that files require. The API's roles may not see it. */
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

/** Renames a table to the name of one that is missing. */
export const renameTableSql = (from: string, to: string): string =>
  `alter table ${from} rename to ${partText(bareName(to))};`

/** Renames a table and its indexes, to get them out of the way. */
export const tableAside = (table: string, indexes: string[]): string[] => [
  `alter table ${table} rename to ${partText(nameAside(bareName(table)))};`,
  ...indexes.map(
    name => `alter index ${schemaPart(table)}.${partText(name)} rename to ${partText(nameAside(name))};`,
  ),
]

/** Updates what each row derives from others, as the triggers do from then on. */
export const catchUpSql = (table: string, expression: string): string =>
  `do $$ begin perform ${expression} from ${table}; end $$;`

/** The statements as one text for psql: first those that must be in one transaction, then the others. */
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

/** A text as SQL comment lines. */
export const commented = (text: string): string =>
  text
    .split('\n')
    .map(line => `-- ${line}`.trimEnd())
    .join('\n')
