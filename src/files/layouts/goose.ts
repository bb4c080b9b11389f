import { type Finding, finding } from '../../model/report.js'
import {
  byNumber,
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

const gooseName = /^(\d+)_(.*)\.sql$/
const gooseUp = /^[ \t]*--[ \t]*\+goose[ \t]+up\b([^\r\n]*)/gim
const gooseDown = /^[ \t]*--[ \t]*\+goose[ \t]+down\b([^\r\n]*)/gim

/** `-- +goose Up` and `-- +goose Down` in one file, compared as numbers. */
export default {
  title: 'goose',
  folders: ['db/migrations', 'migrations', 'sql/schema', 'internal/database/migrations'],
  detect: folder => (folder.someText(/^[ \t]*--[ \t]*\+goose[ \t]+up\b/im) ? 50 : 0),
  read: folder => {
    const faults: Finding[] = []
    const names = folder.sql
      .filter(name => gooseName.test(name))
      .sort((a, b) => byNumber(gooseName.exec(a)![1]!, gooseName.exec(b)![1]!) || byText(a, b))
    const migrations = names.map(file => readGoose(folder, file))
    const others = folder.sql.filter(name => !gooseName.test(name))
    faults.push(
      ...unnumbered(folder, others, '<number>_name.sql'),
      ...folder.files
        .filter(name => /^\d+_.*(?<!_test)\.go$/.test(name))
        .map(name => finding('NOT_SQL', `${folder.shown}${name}`, { tool: 'goose' })),
      ...mixedDigits(
        migrations.map(m => ({ version: m.key, path: m.path })),
        'numbers',
      ),
    )
    return { migrations, faults }
  },
} satisfies Layout

function readGoose(folder: Folder, file: string): LaidOut {
  const faults: Finding[] = []
  const [, version, slug] = gooseName.exec(file) as unknown as [string, string, string]
  const source = folder.text(file)
  const path = `${folder.shown}${file}`
  const [first, second] = markersOf(source, gooseUp)
  const [back, more] = markersOf(source, gooseDown)
  const wrong = (reason: string, at = 0) =>
    faults.push(finding('BAD_LAYOUT', `${path}:${lineOf(source, at).line}`, { reason }))
  if (!first) wrong('it has no line `-- +goose Up`, without which goose does not apply it')
  else if (back && back.start < first.start) wrong('`-- +goose Down` stands above `-- +goose Up`', back.start)
  const twice = second ?? more
  if (twice) wrong('a file has one `-- +goose Up` and one `-- +goose Down`', twice.start)
  const [replaced] = markersOf(source, /^[ \t]*--[ \t]*\+goose[ \t]+envsub[ \t]+on\b([^\r\n]*)/gim)
  if (replaced) wrong('goose would put values of the environment in (ENVSUB ON)', replaced.start)
  const parts = partsBetween(source, first, back)
  // it holds for both ways
  const apart = /^[ \t]*--[ \t]*\+goose[ \t]+no[ \t]+transaction\b/im.test(source)
  const transaction = apart ? 'each' : 'as-needed'
  return {
    name: file.slice(0, -4),
    title: titleOf(slug),
    path,
    text: parts.up,
    transaction,
    down: parts.down === null ? null : { path, text: parts.down, transaction },
    key: withoutZeros(version),
    faults,
    foreign: {
      version: withoutZeros(version),
      description: slug,
      script: file,
      source,
      repeatable: false,
      at: null,
    },
  }
}
