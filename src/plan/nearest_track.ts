import { type FittedColumn, isRole } from '../adapt/fit_columns.js'
import {
  initCommand,
  leftAlone,
  type ReadProposal,
  readProposals,
  tablesFound,
  typesInTheWay,
  unlikeness,
} from '../adapt/read_proposal.js'
import type { Root } from '../database/types.js'
import type { Track } from '../model/project.js'
import { type Finding, type FindingOf, finding } from '../model/report.js'

/**
 * The proposal that comes nearest to a database: for the largest share of its roles something was found, and
 * no other track is about what it leaves alone.
 */
export function nearestOf(proposals: ReadProposal[]): ReadProposal | null {
  const leaves = (p: ReadProposal) => Number(leftAlone(p, proposals) !== null)
  // a database that has users only has nothing of a track
  const some = proposals.filter(p => tablesFound(p).length > 0)
  return some.sort((a, b) => leaves(a) - leaves(b) || b.found - a.found || b.score - a.score)[0] ?? null
}

/** NEAREST_TRACK: how a database differs from what the track needs. */
export function nearestFinding(p: ReadProposal, zone: string | null = null): FindingOf<'NEAREST_TRACK'> {
  const roles = p.bindings.length
  return finding('NEAREST_TRACK', p.track.name, {
    roles,
    found: p.bindings.filter(b => b.to !== null).length,
    differs: unlikeness(p),
    typesFirst: typesInTheWay(p).length > 0,
    command: initCommand(p, zone),
  })
}

/** A name of a table of what is a session already, whatever it is called. */
const sessionLike = /(chat|conversation|thread|session|dialog(ue)?)s?$/i

/**
 * SESSIONS_ALREADY: messages lead to rows that have one owner each, and either name no author of their own,
 * or the rows are called what sessions are called. That is what a session is.
 */
function sessionsAlready({ columns, tables }: ReadProposal): Finding[] {
  const personOf = (fitted: FittedColumn[]) => fitted.find(f => f.want.of === 'users' && !f.isNone)
  for (const [entity, fitted] of columns) {
    const author = personOf(fitted)
    if (!author || !fitted.some(f => isRole(f.want))) continue
    for (const { want, column } of fitted) {
      const led = column && want.of && want.of !== 'users' ? columns.get(want.of) : undefined
      const owner = led && personOf(led)?.column
      if (!owner) continue
      const container = tables.get(want.of!)!
      const isCalledSo = sessionLike.test(container.name) && !sessionLike.test(want.of!)
      if (author.column && !isCalledSo) continue
      const messages = tables.get(entity)!.table
      const facts = { messages, owner: owner.column, author: author.column?.column ?? null }
      return [finding('SESSIONS_ALREADY', container.table, facts)]
    }
  }
  return []
}

/** Names of a column with what a person said, and of one with what they got back, in a row of both. */
const asks = /^(user_?)?(question|query|prompt|input|human|request)(_?(text|message|content))?$/i
const answers =
  /^(ai_?|bot_?|assistant_?|model_?)?(answer|response|reply|completion|output)(_?(text|message|content))?$/i
const saysText = /^(text|character varying|jsonb?)$/

/** QUESTION_AND_ANSWER: a row of the table of messages has a column of each, and none for who speaks. */
function questionAndAnswer({ columns, tables }: ReadProposal): Finding[] {
  for (const [entity, fitted] of columns) {
    const role = fitted.find(f => isRole(f.want))
    if (!role || role.column) continue
    const table = tables.get(entity)!
    const called = (names: RegExp) =>
      table.columns.find(c => names.test(c.column) && saysText.test(c.base))?.column
    const question = called(asks)
    const answer = called(answers)
    if (question && answer) return [finding('QUESTION_AND_ANSWER', table.table, { question, answer })]
  }
  return []
}

/** What a database has that a track takes for something else. */
export const misread = (p: ReadProposal): Finding[] => [...questionAndAnswer(p), ...sessionsAlready(p)]

/** TRACK_UNCLEAR: several tracks fit, and one must be named. */
export const severalFit = (tracks: Track[], ask = 'rethread plan'): Finding =>
  finding('TRACK_UNCLEAR', 'track', {
    reason: 'Several fit this database',
    tracks: tracks.map(t => t.name),
    command: null,
    ask,
  })

/** TRACK_UNCLEAR: no track fits the database. Also names the nearest one. */
export async function noneFits(sql: Root, tracks: Track[]): Promise<Finding[]> {
  const nearest = await nearestTrack(sql, tracks)
  const command = nearest.flatMap(f => (f.code === 'NEAREST_TRACK' ? [f.facts.command] : []))[0] ?? null
  const names = tracks.map(t => t.name)
  const fits = 'None fits this database'
  const reason = nearest.length > 0 ? fits : `${fits}: it has no table like theirs, so it may be another one`
  const unclear = { reason, tracks: names, command, ask: 'rethread doctor' }
  return [finding('TRACK_UNCLEAR', 'track', unclear), ...nearest]
}

/** The nearest of these tracks, with the command that adapts it. */
export async function nearestTrack(sql: Root, tracks: Track[]): Promise<Finding[]> {
  const nearest = nearestOf(await readProposals(sql, tracks, { mapping: {}, zone: null }))
  return nearest ? [nearestFinding(nearest), ...misread(nearest)] : []
}
