-- wrk sends the bytes of one file as they are: `wrk -s request.lua URL -- FILE`. The file may hold
-- several requests, which then go out pipelined. Only wrk.request is set, no global `request`: so
-- wrk takes the bytes once and runs no Lua while it measures.
function wrk.init(args)
   local file = assert(io.open(args[1], "rb"))
   local bytes = file:read("*a")
   file:close()
   wrk.request = function() return bytes end
end
