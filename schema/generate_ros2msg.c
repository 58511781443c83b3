/*
 * A package of ROS 2 with the types of a bus: what colcon builds, so that nodes know its messages.
 */

#include "schema/generate.h"

#include <errno.h>
#include <string.h>

#include "schema/definition.h"
#include "schema/type.h"

static const char package_xml[] =
        "<?xml version=\"1.0\"?>\n"
        "<package format=\"3\">\n"
        "  <name>%s</name>\n"
        "  <version>0.0.0</version>\n"
        "  <description>Messages of the slipring bus %s; made by slipring generate</description>\n"
        "  <maintainer email=\"nobody@localhost\">nobody</maintainer>\n"
        "  <license>unknown</license>\n"
        "  <buildtool_depend>ament_cmake</buildtool_depend>\n"
        "  <buildtool_depend>rosidl_default_generators</buildtool_depend>\n"
        "  <depend>builtin_interfaces</depend>\n"
        "  <exec_depend>rosidl_default_runtime</exec_depend>\n"
        "  <member_of_group>rosidl_interface_packages</member_of_group>\n"
        "  <export>\n"
        "    <build_type>ament_cmake</build_type>\n"
        "  </export>\n"
        "</package>\n";

static const char cmake_head[] = "cmake_minimum_required(VERSION 3.8)\n"
                                 "project(%s)\n"
                                 "find_package(ament_cmake REQUIRED)\n"
                                 "find_package(builtin_interfaces REQUIRED)\n"
                                 "find_package(rosidl_default_generators REQUIRED)\n"
                                 "rosidl_generate_interfaces(${PROJECT_NAME}\n";

static const char cmake_tail[] = "  DEPENDENCIES builtin_interfaces\n"
                                 ")\n"
                                 "ament_export_dependencies(rosidl_default_runtime)\n"
                                 "ament_package()\n";

/* Unit and description as a comment, then the field's own lines. */
static void message_field(struct buffer *buffer, const struct schema_field *field) {
        struct schema_definition one = {.fields = (struct schema_field *) field, .field_count = 1};

        if (field->unit[0] || field->description[0]) {
                buffer_print(buffer, "# %s%s%s\n", field->unit,
                             field->unit[0] && field->description[0] ? ": " : "",
                             field->description);
        }
        type_text_fields(buffer, &one);
}

static int file_give(generate_file *give, void *context, const char *path, struct buffer *text) {
        int r = text->failed ? -ENOMEM : give(context, path, text);

        buffer_free(text);
        return r;
}

static int
message_give(const struct schema_definition *definition, generate_file *give, void *context) {
        struct buffer path = {0}, text = {0};
        int r;

        buffer_print(&path, "%s/msg/%s.msg", definition->package, definition->name);
        for (size_t i = 0; i < definition->field_count; i++) {
                message_field(&text, &definition->fields[i]);
        }
        r = path.failed ? -ENOMEM : file_give(give, context, path.text, &text);
        buffer_free(&path);
        buffer_free(&text);
        return r;
}

static int package_give(const struct schema *schema, generate_file *give, void *context) {
        struct buffer path = {0}, text = {0};
        int r;

        buffer_print(&path, "%s/package.xml", schema->package);
        buffer_print(&text, package_xml, schema->package, schema->bus);
        r = path.failed ? -ENOMEM : file_give(give, context, path.text, &text);
        path.length = 0;
        buffer_print(&path, "%s/CMakeLists.txt", schema->package);
        buffer_print(&text, cmake_head, schema->package);
        for (size_t i = 0; i < schema->definition_count; i++) {
                if (!schema->definitions[i]->message) {
                        buffer_print(&text, "  \"msg/%s.msg\"\n", schema->definitions[i]->name);
                }
        }
        buffer_print(&text, "%s", cmake_tail);
        if (r == 0) {
                r = path.failed ? -ENOMEM : file_give(give, context, path.text, &text);
        }
        buffer_free(&path);
        buffer_free(&text);
        return r;
}

int generate_ros2msg(const struct schema *schema, generate_file *give, void *context) {
        size_t count = 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < schema->definition_count; i++) {
                if (!schema->definitions[i]->message) {
                        r = message_give(schema->definitions[i], give, context);
                        count++;
                }
        }
        if (r == 0 && count == 0) {
                return -ENOENT;
        }
        return r < 0 ? r : package_give(schema, give, context);
}
