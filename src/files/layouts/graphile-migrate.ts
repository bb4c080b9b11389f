import { foreignFile } from '../../model/foreign.js'
import type { Finding } from '../../model/report.js'
import { byNumber, withoutZeros } from '../../model/versions.js'
import { blankOf, type Folder, type LaidOut, type Layout, titleOf } from '../layout.js'
import { badLayout } from '../marked_parts.js'
import { unnumbered } from '../numbered_files.js'

const graphileName = /^(\d{6,})(?:-(.*))?\.sql$/

/**
 * `committed/000001.sql` with `--! Previous:` and `--! Hash:`. The current, uncommitted migration is not
 * read.
 */
export default {
  title: 'graphile-migrate',
  folders: ['migrations'],
  detect: folder => {
    const committed = committedIn(folder)
    if (committed.sql.some(name => graphileName.test(name) && /^--! Hash:/m.test(committed.text(name))))
      return 55
    return folder.folders.includes('committed') && (folder.has('current.sql') || folder.has('current'))
      ? 50
      : 0
  },
  read: folder => {
    const committed = committedIn(folder)
    const names = committed.sql
      .filter(name => graphileName.test(name))
      .sort((a, b) => byNumber(graphileName.exec(a)![1]!, graphileName.exec(b)![1]!))
    let previous: string | null = null
    const migrations = names.map((file): LaidOut => {
      const [, version, slug = ''] = graphileName.exec(file) as unknown as [string, string, string?]
      const { path, text: source } = committed.file(file)
      const header = new Map([...source.matchAll(/^--! ([A-Za-z]+): *(.*?)\r?$/gm)].map(m => [m[1]!, m[2]!]))
      const own: Finding[] = []
      const named = header.get('Previous') ?? '-'
      if (previous !== null && named !== '-' && named !== previous)
        own.push(badLayout(source, path, 'its `Previous` is not the hash of the file before it', 0))
      previous = header.get('Hash') ?? ''
      const placeholder = /(?<![:\w]):[A-Z][A-Z_]{2,}\b/.exec(source)
      if (placeholder) {
        const reason = `graphile-migrate would put a value in for the placeholder ${placeholder[0]}`
        own.push(badLayout(source, path, reason, placeholder.index))
      }
      return {
        name: file.slice(0, -4),
        title: header.get('Message') ?? (titleOf(slug) || version),
        path,
        // its headers look like rethread's
        text: source.replace(/^--! .*$/gm, line =>
          /^--! (?:[A-Z]|no-transaction)/.test(line) ? blankOf(line) : line,
        ),
        transaction: /^--! no-transaction\b/m.test(source) ? 'each' : 'as-needed',
        down: null,
        key: withoutZeros(version),
        faults: own,
        foreign: foreignFile({ version, description: header.get('Message') ?? '', script: file, source }),
      }
    })
    const others = committed.sql.filter(name => !graphileName.test(name))
    return { migrations, faults: unnumbered(committed, others, '<six digits>.sql') }
  },
} satisfies Layout

/** The folder with the committed files: `committed/`, or this one if it was named directly. */
const committedIn = (folder: Folder): Folder =>
  folder.folders.includes('committed') ? folder.folder('committed') : folder
