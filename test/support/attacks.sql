-- Lets one person write every row that they may write, each column with each id of somebody else, and looks
-- after each attempt whether anything that they can't see has changed: a function with its owner's rights
-- that trusts a column would have changed it, or shown it to them. For the stories of isolation.

create function public.attack_as(claims jsonb) returns void language plpgsql as $$
begin
  perform set_config('request.jwt.claims', claims::text, true), set_config('request.jwt.claim.sub', claims ->> 'sub', true),
    set_config('row_security', 'on', true), set_config('role', claims ->> 'role', true);
end
$$;

-- What the attacker does not see, as one hash for each table. `besides` are ids that do not count either.
create function public.attack_others(spec jsonb, besides text[]) returns jsonb language plpgsql as $$
declare
  said jsonb := '{}';
  seen text[];
  hash text;
  leaked bigint;
  t text;
begin
  for t in select jsonb_object_keys(spec -> 'tables') order by 1 loop
    perform public.attack_as(spec -> 'attacker');
    execute format('select coalesce(array_agg(id::text), ''{}''), count(*) filter (where to_jsonb(t)::text like ''%%secret of the victim%%'') from %s t', t)
      into seen, leaked;
    reset role;
    execute format('select count(*) || '' rows, '' || coalesce(md5(string_agg(to_jsonb(t)::text, '','' order by id::text)), '''') from %s t where not id::text = any ($1)', t)
      into hash using seen || besides;
    said := said || jsonb_build_object(t, hash || ', leaked ' || leaked);
  end loop;
  return said;
end
$$;

-- One attempt, then what the victim goes on to do, all taken back: what others' rows have become, or what was
-- refused.
create function public.attack_once(spec jsonb, attempt text, besides text[]) returns text language plpgsql as $$
declare
  at text := 'refused';
  came text;
  statement text;
begin
  begin
    perform public.attack_as(spec -> 'attacker');
    if attempt is not null then
      execute attempt;
    end if;
    at := 'then the victim could not go on';
    reset role;
    perform public.attack_as(spec -> 'victim');
    for statement in select jsonb_array_elements_text(spec -> 'later') loop
      execute statement;
    end loop;
    reset role;
    came := public.attack_others(spec, besides)::text;
    raise exception using errcode = 'RTHRD';
  exception
    when sqlstate 'RTHRD' then return came;
    when others then return at || case at when 'refused' then '' else ' ' || sqlstate || ' ' || sqlerrm end;
  end;
end
$$;

-- Every attempt whose outcome is another than that of no attempt at all.
create function public.attack_all(spec jsonb) returns table (attempts bigint, refused bigint, changed jsonb) language plpgsql as $$
declare
  -- what a foreign key sets to null of a row that its owner deletes may be out of their sight
  own text[] := array(select value from jsonb_each_text(spec -> 'tables'));
  baseline text := public.attack_once(spec, null, '{}');
  baseline_of_deletes text := public.attack_once(spec, null, own);
  mine jsonb;
  t text;
  attempt text;
  came text;
begin
  attempts := 0;
  refused := 0;
  changed := '[]';
  for t in select jsonb_object_keys(spec -> 'tables') order by 1 loop
    execute format('select to_jsonb(t) from %s t where id::text = %L', t, spec -> 'tables' ->> t) into mine;
    for attempt in
      with col as (
        select a.attname::text as name, a.atttypid = 'uuid'::regtype as is_id from pg_attribute a
        where a.attrelid = t::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      ),
      -- a column with a value of the victim's, and two ids at once
      change as (
        select jsonb_build_object(c.name, v.value) as set_to from col c
        cross join lateral (
          select to_jsonb(i) as value from jsonb_array_elements_text(spec -> 'ids') i where c.is_id
          union
          select r -> c.name from jsonb_array_elements(spec -> 'theirs' -> t) r where r ? c.name
        ) v
        union
        select jsonb_build_object(a.name, x.id, b.name, y.id) from col a
        join col b on b.name > a.name and a.is_id and b.is_id
        cross join jsonb_array_elements_text(spec -> 'ids') x (id)
        cross join jsonb_array_elements_text(spec -> 'ids') y (id)
        where (x.id, y.id) in (select r ->> a.name, r ->> b.name from jsonb_array_elements(spec -> 'theirs' -> t) r)
      )
      select format('insert into %1$s select * from jsonb_populate_record(null::%1$s, %2$L)', t,
        mine || jsonb_build_object('id', gen_random_uuid()) || c.set_to) from change c
      union all
      select format('insert into %1$s select * from jsonb_populate_record(null::%1$s, %2$L) on conflict (id) do update set id = excluded.id', t, mine || c.set_to)
      from change c where c.set_to ? 'id'
      union all
      select format('update %1$s set (%2$s) = (select %2$s from jsonb_populate_record(null::%1$s, %3$L)) where id::text = %4$L', t,
        (select string_agg(quote_ident(k), ', ') from jsonb_object_keys(c.set_to) k), mine || c.set_to, spec -> 'tables' ->> t) from change c
      union all
      select format('delete from %s where id::text = %L', t, spec -> 'tables' ->> t)
    loop
      came := public.attack_once(spec, attempt, case when attempt like 'delete%' then own else '{}' end);
      attempts := attempts + 1;
      refused := refused + (came = 'refused')::int;
      if came not in (case when attempt like 'delete%' then baseline_of_deletes else baseline end, 'refused') then
        changed := changed || jsonb_build_object('attempt', attempt, 'came', came, 'baseline', baseline);
      end if;
    end loop;
  end loop;
  return next;
end
$$;
