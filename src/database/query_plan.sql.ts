import type { Db } from './types.js'

/** A node of a plan, with the fields of EXPLAIN that are read; all but the first three may be left out. */
export interface PlanNode {
  'Node Type': string
  'Total Cost': number
  'Plan Rows': number
  Schema?: string
  'Relation Name'?: string
  Alias?: string
  Filter?: string
  Plans?: PlanNode[]
}

/**
 * The plan of a query as the current role would run it with these parameters. Runs nothing. `verbose` adds
 * the schemas.
 */
export async function queryPlan(
  sql: Db,
  query: string,
  { args = [], verbose = false }: { args?: string[]; verbose?: boolean } = {},
): Promise<PlanNode> {
  const [row] = await sql.unsafe<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>(
    `explain (format json${verbose ? ', verbose' : ''}) ${query}`,
    args,
  )
  return row!['QUERY PLAN'][0].Plan
}

/** A node and all below it. */
export const planNodes = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(planNodes)]
