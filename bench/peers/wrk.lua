-- wrk's side of a load: sends the request in the file args[1], with an id of its own for each
-- sending wherever args[3] stands, and the signature of that copy, out of the file args[2],
-- wherever args[4] stands. The ids begin with args[5]. Answers must have the status args[6].
-- In the end it tells the counts.

local SIGNATURE = 64

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local function content(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- The marks of the text in their order, and what stands before, between and after them.
local function divided(text, marks)
  local pieces, kinds, from = {}, {}, 1
  while true do
    local first, last, kind
    for name, mark in pairs(marks) do
      local began, ended = text:find(mark, from, true)
      if began and (not first or began < first) then
        first, last, kind = began, ended, name
      end
    end
    if not first then
      table.insert(pieces, text:sub(from))
      return pieces, kinds
    end
    table.insert(pieces, text:sub(from, first - 1))
    table.insert(kinds, kind)
    from = last + 1
  end
end

function init(args)
  local pieces, kinds = divided(content(args[1]), {id = args[3], signature = args[4]})
  signatures, prefix, expected = content(args[2]), args[5], tonumber(args[6])
  sent, unsigned, unexpected = 0, 0, 0
  copy, id_places, signature_places = {}, {}, {}
  for number, piece in ipairs(pieces) do
    table.insert(copy, piece)
    if kinds[number] then
      table.insert(copy, "")
      table.insert(kinds[number] == "id" and id_places or signature_places, #copy)
    end
  end
end

function request()
  local id = prefix .. string.format("%012d", sent)
  for _, place in ipairs(id_places) do
    copy[place] = id
  end
  if #signature_places > 0 then
    local signature = signatures:sub(sent * SIGNATURE + 1, (sent + 1) * SIGNATURE)
    if signature == "" then
      unsigned = unsigned + 1
    end
    for _, place in ipairs(signature_places) do
      copy[place] = signature
    end
  end
  sent = sent + 1
  return table.concat(copy)
end

function response(status)
  if status ~= expected then
    unexpected = unexpected + 1
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed, unsigned = errors.connect + errors.read + errors.write + errors.timeout, 0
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("unexpected")
    unsigned = unsigned + thread:get("unsigned")
  end
  io.write(string.format(
    '{"answered": %d, "seconds": %.6f, "failed": %d, "unsigned": %d, "p50": %.3f, "p99": %.3f}\n',
    summary.requests, summary.duration / 1e6, failed, unsigned,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
