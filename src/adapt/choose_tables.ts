import { namesIn } from '../model/table_name.js'
import type { ApplicationTable } from './application_tables.sql.js'
import { type FittedColumn, fitColumns } from './fit_columns.js'
import { likeness } from './likeness.js'
import { authUsers, type WantedTable } from './wanted.js'

/** A table for each entity of a track, with the score of the combination. */
export interface Choice {
  tables: ReadonlyMap<string, ApplicationTable>
  columns: ReadonlyMap<string, FittedColumn[]>
  score: number
}

/** Most tables that are considered for one entity. Their product limits the number of combinations. */
const candidatesEach = 6
/** Most combinations that are kept while entities are added one by one. */
const keptChoices = 60
/** The score of an entity without a table. */
const withoutTable = -6

/** The score of a table's name. */
export const nameScore = (want: WantedTable, table: ApplicationTable): number =>
  table.table === want.table ? 3.5 : likeness(table.name, namesIn(want.table)!.at(-1)!, want.called)

/** Columns that a table of people has, and hardly another. */
const ofPeople =
  /^((user|first|last|full|display|nick)_?name|e_?mail(_address)?|login|phone(_number)?|password(_hash)?|avatar(_url)?|.*(clerk|auth0?|firebase).*)$/i

/** True for a table that is called like an entity, or that has a column of people where these are wanted. */
export const isLikeIt = (want: WantedTable, table: ApplicationTable): boolean =>
  nameScore(want, table) > 0 ||
  (want.table === authUsers && table.columns.some(({ column }) => ofPeople.test(column)))

const worth = (want: WantedTable, table: ApplicationTable, columns: FittedColumn[]): number =>
  2 * nameScore(want, table) + columns.reduce((sum, c) => sum + c.score, 0)

/** True for a table none of whose rows lead where an entity's rows lead. */
function leadsNowhere(columns: FittedColumn[], { tables }: Choice): boolean {
  const leads = columns.filter(c => c.want.of !== null && tables.has(c.want.of))
  return leads.length > 0 && leads.every(c => c.column === null)
}

/** True if a table has the column without which it cannot be the entity, of a type that is read. */
function hasEssential(
  want: WantedTable,
  table: ApplicationTable,
  given: ReadonlyMap<string, string>,
): boolean {
  if (want.essential === undefined) return true
  const found = fitColumns(want, table, new Map(), given).find(f => f.want.column === want.essential)
  return found?.column !== null && found?.column !== undefined && found.want.types.includes(found.column.base)
}

/** Tables that may be an entity, judged without regard to the other entities. */
function candidates(
  want: WantedTable,
  all: ApplicationTable[],
  given: ReadonlyMap<string, string>,
): ApplicationTable[] {
  const said = given.get(want.entity)
  if (said !== undefined) return all.filter(t => t.table === said)
  // every database has it, and it is nobody's table of chats
  const others = all.filter(t => t.table !== authUsers || want.table === authUsers)
  const persons = want.table === authUsers ? others.filter(t => isLikeIt(want, t)) : []
  const able = persons.length > 0 ? persons : others.filter(table => hasEssential(want, table, given))
  const led = new Set(all.flatMap(t => t.columns.flatMap(c => c.references.map(r => r.table))))
  const links = want.columns.filter(c => c.of !== null).length
  return (able.length > 0 ? able : others)
    .map(table => {
      // the other tables are not chosen yet, so any foreign key may be the one that is wanted
      const keys = Math.min(links, table.columns.filter(c => c.references.length > 0).length)
      const own = worth(want, table, fitColumns(want, table, new Map(), given))
      return { table, score: own + 8 * keys + (led.has(table.table) ? 2 : 0) }
    })
    .filter(({ table }) => want.columns.length > 1 || isLikeIt(want, table) || led.has(table.table))
    .sort((a, b) => b.score - a.score)
    .slice(0, candidatesEach)
    .map(c => c.table)
}

/**
 * The combinations with a different table for each entity, best first. `given` are tables and columns that a
 * person has named, by role. Each entity, candidate and kept combination costs one comparison with a table.
 */
export function chooseTables(
  wanted: WantedTable[],
  all: ApplicationTable[],
  given: ReadonlyMap<string, string>,
): Choice[] {
  let choices: Choice[] = [{ tables: new Map(), columns: new Map(), score: 0 }]
  for (const want of wanted) {
    const from = candidates(want, all, given)
    const next: Choice[] = choices.map(c => ({ ...c, score: c.score + withoutTable }))
    for (const choice of choices)
      for (const table of from) {
        if ([...choice.tables.values()].includes(table)) continue
        const columns = fitColumns(want, table, choice.tables, given)
        if (!given.has(want.entity) && nameScore(want, table) === 0 && leadsNowhere(columns, choice)) continue
        next.push({
          tables: new Map([...choice.tables, [want.entity, table]]),
          columns: new Map([...choice.columns, [want.entity, columns]]),
          score: choice.score + worth(want, table, columns),
        })
      }
    choices = next.sort((a, b) => b.score - a.score).slice(0, keptChoices)
  }
  return choices
}
