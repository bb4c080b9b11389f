import { Names, quoted } from './random_names.js'
import { extraColumns, type RandomType, referring } from './random_types.js'
import type { Dice } from './variation.js'

/** A column of a random table, by the name that a track has for it. */
interface Column {
  /** Null for one that the track does not know. */
  role: string | null
  name: string
  sql: string
  /** SQL of its value in row number `n`. Null where its default makes it. */
  value: (n: string) => string
  /** True where a statement of the application gives no value. */
  made: boolean
}

/** A table of a random application, by the name that a track has for it. */
export interface RandomTable {
  entity: string
  /** Its name as SQL, and as `--map` takes it. */
  sql: string
  id: RandomType
  columns: Column[]
  /** How many rows it has at first: their numbers begin with 1. */
  rows: number
  /** SQL of the id of row `n`. */
  idOf: (n: string | number) => string
  column: (role: string) => string
  /** The statement that inserts row `n`, as the application sends it, with other values for some columns. */
  insert: (n: string | number, other?: Record<string, string>) => string
}

/** What is said of a column: its usual names, its type, and what it refers to. */
export interface ColumnWish {
  usual: string[]
  type?: RandomType
  of?: RandomTable
  /** The number of the row that row `n` refers to. */
  to?: (n: string) => string
  sql?: string
  value?: (n: string) => string
  /** False where the database may hold null in it. */
  required?: boolean
}

/** Makes the tables of one application: names, types, keys and further columns at random. */
export class Tables {
  readonly statements: string[] = []
  readonly map: Record<string, string> = {}
  readonly values: Record<string, string> = {}
  readonly ways: string[] = []
  readonly refused: RegExp[] = []
  readonly schemas: string[] = []
  zoneless = false
  chosen = false
  plain = false
  private readonly names: Map<string, Names> = new Map()

  constructor(
    readonly d: Dice,
    private readonly oddness: number,
  ) {
    this.schemas.push('public')
    if (d.chance(0.4)) this.schemas.push(new Names(d, oddness).one(['app', 'chat', 'core', 'main']))
    for (const schema of this.schemas.slice(1)) this.statements.push(`create schema ${quoted(schema)}`)
    if (this.schemas.length > 1) this.ways.push(`schema ${this.schemas[1]}`)
  }

  private namesOf(schema: string): Names {
    const names = this.names.get(schema) ?? new Names(this.d, this.oddness)
    this.names.set(schema, names)
    return names
  }

  /** Types, zones and refusals that a choice brings along. */
  note(role: string, type: RandomType): void {
    this.ways.push(`${role} ${type.kind}`)
    if (type.refused) this.refused.push(type.refused)
    if (type.zoneless) this.zoneless = true
    if (type.values) this.values[role] = type.values
  }

  /** A table that stands already, such as `auth.users`. */
  standing(entity: string, sql: string, id: RandomType, rows: number): RandomTable {
    const idOf = (n: string | number) => id.value(String(n), entity)
    this.statements.push(`insert into ${sql} (id) select ${idOf('i')} from generate_series(1, ${rows}) i`)
    const insert = (n: string | number) => `insert into ${sql} (id) values (${idOf(n)})`
    return { entity, sql, id, rows, columns: [], idOf, insert, column: role => role }
  }

  add(
    entity: string,
    usual: string[],
    id: RandomType,
    rows: number,
    wishes: Record<string, ColumnWish>,
    key?: (t: RandomTable) => string,
  ): RandomTable {
    const { d } = this
    const schema = d.one(this.schemas)
    const sql = `${quoted(schema)}.${quoted(this.namesOf(schema).one(usual))}`
    const names = new Names(d, this.oddness)
    const idOf = (n: string | number) => id.value(String(n), entity)
    const columns: Column[] = []
    const hasId = !('no id' in wishes)
    if (hasId)
      columns.push({
        role: 'id',
        name: names.one(['id', 'id', `${entity}_id`]),
        sql: `${id.sql} ${id.makes ?? ''}`,
        value: idOf,
        made: id.makes !== null,
      })
    for (const [role, wish] of Object.entries(wishes))
      if (role !== 'no id') columns.push(this.column(entity, role, wish, names))
    for (let n = d.upTo(2); n > 0 && d.chance(0.5); n--) {
      const extra = d.one(extraColumns)
      const name = names.one(['model', 'slug', 'plan', 'kind'])
      this.ways.push(`${extra.kind} in ${entity}`)
      columns.push({
        role: null,
        name,
        sql: extra.sql.replaceAll('%', quoted(name)),
        value: () => extra.value,
        made: false,
      })
    }
    // the columns of a table stand in any order
    if (d.chance(0.3)) columns.sort((a, b) => (a.name < b.name ? -1 : 1))
    const table: RandomTable = {
      entity,
      sql,
      id,
      rows,
      columns,
      idOf,
      column: role => quoted(columns.find(c => c.role === role)!.name),
      insert: (n, other = {}) => insertion(table, String(n), other),
    }
    const keys = key ? key(table) : hasId ? `primary key (${table.column('id')})` : ''
    this.statements.push(
      `create table ${sql} (${[...columns.map(c => `${quoted(c.name)} ${c.sql}`), ...(keys ? [keys] : [])].join(', ')})`,
      `insert into ${sql} (${columns.map(c => quoted(c.name)).join(', ')}) overriding system value
       select ${columns.map(c => c.value('i')).join(', ')} from generate_series(1, ${rows}) i`,
    )
    if (hasId && /serial|identity/.test(`${id.sql} ${id.makes}`))
      this.statements.push(
        `select setval(pg_get_serial_sequence('${sql.replaceAll("'", "''")}', '${columns.find(c => c.role === 'id')!.name.replaceAll("'", "''")}'), 500)`,
      )
    this.map[entity] = sql
    for (const c of columns)
      if (c.role !== null && wishes[c.role]?.usual.length !== 0)
        this.map[`${entity}.${c.role}`] = quoted(c.name)
    return table
  }

  private column(entity: string, role: string, wish: ColumnWish, names: Names): Column {
    const { d } = this
    const name = names.one(wish.usual.length > 0 ? wish.usual : [role])
    const { of, type } = wish
    if (of) {
      const number = wish.to ?? (n => `1 + (${n})::int % ${of.rows}`)
      const isTied = d.chance(0.75)
      const ends = d.one([
        'on delete cascade',
        'on delete cascade on update cascade',
        '',
        'on delete no action on update cascade',
        ...(wish.required === false ? ['on delete set null'] : []),
      ])
      const target = of.columns.length > 0 ? of.column('id') : 'id'
      const tie = isTied ? `references ${of.sql} (${target}) ${ends}` : ''
      if (!isTied) this.ways.push(`${entity}.${role} without a key`)
      return {
        role,
        name,
        sql: `${referring(of.id.sql)} ${wish.required === false ? '' : 'not null'} ${tie}`,
        value: n => of.idOf(number(n)),
        made: false,
      }
    }
    if (type) this.note(`${entity}.${role}`, type)
    const makes = type?.makes ?? null
    const required = wish.required ?? d.chance(0.5)
    return {
      role,
      name,
      sql: `${wish.sql ?? type!.sql} ${required ? 'not null' : ''} ${makes ?? ''}`,
      value: wish.value ?? (n => type!.value(n, entity)),
      // a time that lies back would count as one from before the migration
      made: makes !== null,
    }
  }
}

/** A statement of the application. A column whose default makes it is not named. */
function insertion(table: RandomTable, n: string, other: Record<string, string>): string {
  const given = table.columns.filter(c => !c.made || (c.role !== null && c.role in other))
  const value = (c: Column) => (c.role !== null && other[c.role]) || c.value(n)
  return given.length === 0
    ? `insert into ${table.sql} default values`
    : `insert into ${table.sql} (${given.map(c => quoted(c.name)).join(', ')}) values (${given.map(value).join(', ')})`
}
