import { type Finding, finding } from '../../model/report.js'
import {
  blankOf,
  byNumber,
  type Folder,
  type LaidOut,
  type Layout,
  numberOf,
  titleOf,
  unnumbered,
} from '../layout.js'
import { lineOf } from '../statements.js'

const pattern = /^(\d{6,})(?:-(.*))?\.sql$/

/** `committed/000001.sql` with `--! Previous:` and `--! Hash:`; what is in work is not a migration yet. */
export default {
  title: 'graphile-migrate',
  folders: ['migrations'],
  detect: folder => {
    const committed = place(folder)
    if (committed.sql.some(name => pattern.test(name) && /^--! Hash:/m.test(committed.text(name)))) return 55
    return folder.folders.includes('committed') && (folder.has('current.sql') || folder.has('current'))
      ? 50
      : 0
  },
  read: folder => {
    const committed = place(folder)
    const faults: Finding[] = []
    const names = committed.sql
      .filter(name => pattern.test(name))
      .sort((a, b) => byNumber(pattern.exec(a)![1]!, pattern.exec(b)![1]!))
    let previous: string | null = null
    const migrations = names.map((file): LaidOut => {
      const [, version, slug = ''] = pattern.exec(file) as unknown as [string, string, string?]
      const source = committed.text(file)
      const path = `${committed.shown}${file}`
      const header = new Map([...source.matchAll(/^--! ([A-Za-z]+): *(.*?)\r?$/gm)].map(m => [m[1]!, m[2]!]))
      const own: Finding[] = []
      const named = header.get('Previous') ?? '-'
      if (previous !== null && named !== '-' && named !== previous)
        own.push(
          finding('BAD_LAYOUT', `${path}:1`, {
            reason: 'its `Previous` is not the hash of the file before it',
          }),
        )
      previous = header.get('Hash') ?? ''
      const placeholder = /(?<![:\w]):[A-Z][A-Z_]{2,}\b/.exec(source)
      if (placeholder)
        own.push(
          finding('BAD_LAYOUT', `${path}:${lineOf(source, placeholder.index).line}`, {
            reason: `graphile-migrate would put a value in for the placeholder ${placeholder[0]}`,
          }),
        )
      return {
        name: file.slice(0, -4),
        title: header.get('Message') ?? (titleOf(slug) || version),
        path,
        // its headers look like ours
        text: source.replace(/^--! .*$/gm, line =>
          /^--! (?:[A-Z]|no-transaction)/.test(line) ? blankOf(line) : line,
        ),
        transaction: /^--! no-transaction\b/m.test(source) ? 'each' : 'as-needed',
        down: null,
        key: numberOf(version),
        faults: own,
        foreign: {
          version,
          description: header.get('Message') ?? '',
          script: file,
          source,
          repeatable: false,
          at: null,
        },
      }
    })
    faults.push(
      ...unnumbered(
        committed,
        committed.sql.filter(name => !pattern.test(name)),
        '<six digits>.sql',
      ),
    )
    return { migrations, faults }
  },
} satisfies Layout

/** Where the committed files are: in `committed/`, or here where that is the folder that was named. */
const place = (folder: Folder): Folder =>
  folder.folders.includes('committed') ? folder.folder('committed') : folder
