import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.DatabaseResolver;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryDatabase;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.oplog.Oplog;
import io.netty.channel.Channel;
import java.util.List;

/** Starts the stand-in for MongoDB on the port, and the address, that it is given. It keeps everything in memory. */
class Launcher {
    /** The oldest server that the driver talks to. */
    record Version(List<Integer> getVersionArray, int getWireVersion) implements MongoVersion {}

    public static void main(String[] arguments) {
        var backend = new Backend();
        backend.version(new Version(List.of(4, 4, 0), 9));
        var address = arguments.length > 1 ? arguments[1] : "127.0.0.1";
        new MongoServer(backend).bind(address, Integer.parseInt(arguments[0]));
        System.out.println("Waiting for connections");
    }

    static class Backend extends MemoryBackend {
        @Override
        public MemoryDatabase openOrCreateDatabase(String name) {
            return new Database(name, getCursorRegistry());
        }
    }

    /** MongoDB reads each document whole. The stand-in changes documents in place, and its `aggregate` takes no lock. */
    static class Database extends MemoryDatabase {
        Database(String name, CursorRegistry cursors) {
            super(name, cursors);
        }

        @Override
        public Document handleCommand(
                Channel channel, String command, Document query, DatabaseResolver resolver, Oplog oplog) {
            var collection = command.equals("aggregate") ? resolveCollection(query.get(command).toString(), false) : null;
            if (collection == null) {
                return super.handleCommand(channel, command, query, resolver, oplog);
            }
            // The stand-in's updates and deletions take this lock.
            synchronized (collection) {
                return super.handleCommand(channel, command, query, resolver, oplog);
            }
        }
    }
}
