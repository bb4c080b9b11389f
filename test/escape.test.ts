import { expect, test } from 'vitest'
import { render } from '../src/index.js'
import { emptyReport, finding, type Report } from '../src/model/report.js'

const esc = '\u001b'
const hostile = [
  `${esc}]0;a window's title\u0007${esc}[2J`,
  '::stop-commands::all\n  ::add-mask::a\r\n##[error]b',
  '<script>alert(1)</script><img src=x onerror="alert(2)">',
  '[a link](javascript:alert(3)) ![a picture](https://a.example/b.png) @everyone #1 &#64;everyone &#35;1 ``` ` ``',
  'name\u202Egnp.exe\u200B',
].join('\n')

/** A report that has a hostile text wherever one of the database could stand. */
const report = (): Report => ({
  ...emptyReport('verify'),
  verdict: 'failed',
  findings: [finding('MISSING_PREREQUISITE', hostile), finding('BAD_CONFIG', hostile, { reason: hostile })],
  checks: [
    {
      check: hostile,
      title: hostile,
      level: 'error',
      outcome: 'found',
      found: [{ object: hostile, detail: hostile, key: 'k', accepted: null, preExisting: false }],
      fix: hostile,
      more: false,
      reason: null,
      durationMs: 1,
    } as never,
  ],
  tables: [{ title: hostile, columns: [hostile, 'b'], rows: [[hostile, `::${hostile}`]] }] as never,
})

const lines = (text: string) => text.split('\n').map(line => line.trim())

test.each(['table', 'markdown', 'html', 'json', 'github'])(
  '%s shows what is in a database and never obeys it',
  async format => {
    const text = await render(report(), format)
    // controls of a terminal, and characters that turn or hide text
    expect([...text.matchAll(/[^\P{C}\n\t]/gu)].map(m => m[0].codePointAt(0))).toEqual([])
    // commands of a CI system: those of the format itself are its findings
    const obeyed = lines(text).filter(line => line.startsWith('::') || line.includes('##['))
    if (format === 'github')
      expect(obeyed.filter(line => !/^::error (file=\S+,)?title=/.test(line))).toEqual([])
    else expect(obeyed).toEqual([])
    if (format === 'html') expect(text).not.toMatch(/<(script|img)/)
    if (format === 'json') expect(JSON.parse(text).findings[0].subject).toBe(hostile)
  },
)

test('Markdown has no link, picture, mention, reference or HTML that a report has not made itself', async () => {
  const text = await render(report(), 'markdown')
  const outside = text.replace(/^ *(`{3,})[\s\S]*?^ *\1$/gm, '').replace(/`[^`\n]*`/g, '')
  // the references that the escaping makes itself
  const shown = outside.replaceAll(/&#(?:35|39|58|91|93|96);/g, '')
  expect(shown).not.toMatch(/(?<!\\)\]\(|(?<!\\)\[|https:\/\/|@\w|#\d|<(script|img)/)
  expect(outside).toContain('\\[a link\\]')
})

test.each(['table', 'markdown'])('no name in a %s begins a line of the report', async format => {
  const name = 'x\nVerdict: clean\n\n- forged\n## forged'
  const named: Report = {
    ...emptyReport('verify'),
    verdict: 'failed',
    target: {
      ...({} as NonNullable<Report['target']>),
      database: name,
      role: name,
      host: 'h',
      port: 1,
      server: '18',
      why: 'w',
    },
    findings: [
      finding('MISSING_PREREQUISITE', name),
      finding('DRIFT', name, { objects: [name] } as never),
      finding('CONSENT_NEEDED', name, { allow: [], missing: [], confirm: null, because: [name] } as never),
    ],
    checks: report().checks.map(c => ({
      ...c,
      check: 'c',
      title: 't',
      fix: null,
      found: [{ object: name, detail: name, key: 'k', accepted: null, preExisting: false }],
    })) as never,
    tables: [{ title: 't', columns: ['a', 'b'], rows: [[name, name]] }] as never,
  }
  const text = await render(named, format)
  const forged = text.split('\n').filter(line => /^(\s*- )?(Verdict: clean|\\?- forged|## forged)/.test(line))
  expect(forged).toEqual([])
})
