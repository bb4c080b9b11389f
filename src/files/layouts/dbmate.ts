import { type Finding, finding } from '../../model/report.js'
import {
  byText,
  type Folder,
  type LaidOut,
  type Layout,
  markersOf,
  mixedDigits,
  partsBetween,
  titleOf,
  unnumbered,
  withoutZeros,
} from '../layout.js'
import { lineOf } from '../statements.js'

const dbmateName = /^(\d+)(.*)\.sql$/
const dbmateUp = /^--[ \t]*migrate:up\b([^\r\n]*)/gm
const dbmateDown = /^--[ \t]*migrate:down\b([^\r\n]*)/gm

/** `-- migrate:up` and `-- migrate:down` in one file; dbmate sorts the names as texts. */
export default {
  title: 'dbmate',
  folders: ['db/migrations'],
  detect: folder => (folder.someText(/^--[ \t]*migrate:up\b/m) ? 50 : 0),
  read: folder => {
    const faults: Finding[] = []
    const names = folder.sql.filter(name => dbmateName.test(name)).sort(byText)
    const migrations = names.map(file => readDbmate(folder, file))
    const others = folder.sql.filter(name => !dbmateName.test(name))
    faults.push(
      ...unnumbered(folder, others, '<timestamp>_name.sql'),
      ...mixedDigits(
        migrations.map(m => ({ version: withoutZeros(m.foreign.version), path: m.path })),
        'text',
      ),
    )
    return { migrations, faults }
  },
} satisfies Layout

function readDbmate(folder: Folder, file: string): LaidOut {
  const faults: Finding[] = []
  const [, version, slug] = dbmateName.exec(file) as unknown as [string, string, string]
  const source = folder.text(file)
  const path = `${folder.shown}${file}`
  const [first, second] = markersOf(source, dbmateUp)
  const [back, more] = markersOf(source, dbmateDown)
  const wrong = (reason: string, at = 0) =>
    faults.push(finding('BAD_LAYOUT', `${path}:${lineOf(source, at).line}`, { reason }))
  if (!first) wrong('it has no line `-- migrate:up`, without which dbmate does not apply it')
  else if (back && back.start < first.start)
    wrong('`-- migrate:down` stands above `-- migrate:up`', back.start)
  else if (/^(?!\s*--)\s*\S/m.test(source.slice(0, first.start).replace(/^\uFEFF/, '')))
    wrong('dbmate allows no statement above `-- migrate:up`')
  const twice = second ?? more
  if (twice) wrong('a file has one `-- migrate:up` and one `-- migrate:down`', twice.start)
  const parts = partsBetween(source, first, back)
  const apart = (rest = '') =>
    /\btransaction:false\b/.test(rest) ? ('each' as const) : ('as-needed' as const)
  return {
    name: file.slice(0, -4),
    title: titleOf(slug) || file,
    path,
    text: parts.up,
    transaction: apart(first?.rest),
    down: parts.down === null ? null : { path, text: parts.down, transaction: apart(back?.rest) },
    key: version,
    faults,
    foreign: { version, description: titleOf(slug), script: file, source, repeatable: false, at: null },
  }
}
