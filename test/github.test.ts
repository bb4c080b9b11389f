import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as workflows from '@actions/workflow-parser'
import type * as actions from '@actions/workflow-parser/actions/action-parser'
import { build } from 'rolldown'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { root } from './support/database.js'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** GitHub's own parser, bundled: it imports JSON in a way that Node refuses. */
async function githubParser(): Promise<typeof workflows & typeof actions> {
  const file = join(mkdtempSync('/tmp/rethread-github-'), 'parser.cjs')
  const input = join(root, 'both-parsers.js')
  const contents = `export * from '@actions/workflow-parser'
    export * from '@actions/workflow-parser/actions/action-parser'`
  const is = (id: string) => (id === input ? id : null)
  const both = { name: 'both', resolveId: is, load: (id: string) => (is(id) ? contents : null) }
  await build({
    input,
    plugins: [both],
    platform: 'node',
    output: { file, format: 'cjs' },
    logLevel: 'silent',
  })
  return createRequire(import.meta.url)(file)
}
const { convertWorkflowTemplate, NoOperationTraceWriter, parseAction, parseWorkflow } = await githubParser()
const trace = new NoOperationTraceWriter()

/** What GitHub itself would say of a workflow: its schema, its expressions, and what becomes of both. */
async function workflowFaults(content: string): Promise<string[]> {
  const { context, value } = parseWorkflow({ name: 'workflow.yml', content }, trace)
  if (value) await convertWorkflowTemplate(context, value)
  return context.errors.getErrors().map(e => e.message)
}

/** The form of an issue. Source: GitHub's "Syntax for GitHub's form schema". */
const text = z.string().min(1)
const asked = { label: text, description: text.optional() }
const field = <T extends string, A extends z.ZodRawShape>(type: T, attributes: A) =>
  z.strictObject({
    type: z.literal(type),
    id: z.string().regex(/^[\w-]+$/),
    attributes: z.strictObject({ ...asked, ...attributes }),
    validations: z.strictObject({ required: z.boolean() }).optional(),
  })
const form = z.strictObject({
  name: text,
  description: text,
  title: text.optional(),
  labels: z.array(text).optional(),
  body: z
    .array(
      z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('markdown'), attributes: z.strictObject({ value: text }) }),
        field('input', { placeholder: text.optional(), value: text.optional() }),
        field('textarea', { placeholder: text.optional(), value: text.optional(), render: text.optional() }),
        field('dropdown', { options: z.array(text).min(1), multiple: z.boolean().optional() }),
        field('checkboxes', { options: z.array(z.strictObject({ label: text })).min(1) }),
      ]),
    )
    .refine(
      body => new Set(body.map(f => ('id' in f ? f.id : f))).size === body.length,
      'an id is there twice',
    )
    .refine(body => body.some(f => f.type !== 'markdown'), 'nothing is asked'),
})

describe.each(readdirSync(join(root, '.github/workflows')))('.github/workflows/%s', file => {
  test('is a workflow that GitHub accepts', async () =>
    expect(await workflowFaults(read(`.github/workflows/${file}`))).toEqual([]))

  test('may do no more than its jobs need', () =>
    expect(parse(read(`.github/workflows/${file}`)).permissions).toEqual({ contents: 'read' }))
})

test.each(['github_pull_request.yml', 'github_deploy.yml'])(
  'examples/ci/%s is a workflow that GitHub accepts, and gives our action only inputs that it has',
  async file => {
    const text = read(`examples/ci/${file}`)
    expect(await workflowFaults(text)).toEqual([])
    const inputs = Object.keys(parse(read('action.yml')).inputs)
    const jobs = Object.values<{ steps: { uses?: string; with?: object }[] }>(parse(text).jobs)
    const ours = jobs.flatMap(j => j.steps).filter(s => s.uses?.startsWith('rethread-dev/rethread@'))
    expect(ours.length).toBeGreaterThan(0)
    expect(ours.flatMap(s => Object.keys(s.with ?? {})).filter(name => !inputs.includes(name))).toEqual([])
  },
)

test('a workflow that is wrong is found', async () => {
  const workflow = read('.github/workflows/ci.yml')
  expect(await workflowFaults(workflow.replace('runs-on:', 'run-on:'))).not.toEqual([])
  expect(await workflowFaults(workflow.replace('matrix.node }}', 'matrx.node }}'))).not.toEqual([])
})

test('the action is one that GitHub accepts', () =>
  expect(
    parseAction({ name: 'action.yml', content: read('action.yml') }, trace).context.errors.getErrors(),
  ).toEqual([]))

const forms = readdirSync(join(root, '.github/ISSUE_TEMPLATE')).filter(f => f !== 'config.yml')
test.each(forms)('.github/ISSUE_TEMPLATE/%s is a form', file =>
  expect(form.safeParse(parse(read(`.github/ISSUE_TEMPLATE/${file}`))).error?.issues).toBeUndefined(),
)

test('the workflow and .ci/run take the same steps', () => {
  const steps = (script: string) => script.match(/^(npm|node) .*?(?= \|\||$)/gm)
  const workflow = parse(read('.github/workflows/ci.yml')).jobs.test.steps as { run?: string }[]
  expect(workflow.flatMap(s => s.run ?? [])).toEqual(steps(read('.ci/run')))
})
